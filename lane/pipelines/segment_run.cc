#include "lane/pipelines/segment_run.h"

namespace kiln::lane {

Result<ExecutorChoice> executor_choice_from_string(std::string_view name) {
  if (name == "any") return ExecutorChoice::kAny;
  if (name == "compiled") return ExecutorChoice::kCompiled;
  if (name == "uncompiled") return ExecutorChoice::kUncompiled;
  return fail(make_error(ErrorCode::kInvalidArgument, "executor '{}' is none of any, compiled, uncompiled", name));
}

void SegmentRun::fail_with(Error error, std::string_view failure_class) {
  {
    const std::lock_guard lock(mutex_);
    if (failed_.load()) return;
    error_ = std::move(error);
    failure_class_ = failure_class;
    failed_.store(true);
  }
  cancel.cancel();  // wakes the stage that waits for an ffmpeg
}

Error SegmentRun::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::string SegmentRun::failure_class() const {
  const std::lock_guard lock(mutex_);
  return failure_class_;
}

}  // namespace kiln::lane
