// The part of LaneSession that renders shots.
#include <unistd.h>

#include <map>
#include <memory>
#include <span>

#include "base/log.h"
#include "lane/lane_session.h"
#include "lane/pipelines/wan_shots.h"

namespace kiln::lane {
namespace {

// Files by their names in the package. Each may be opened several times.
OpenPackageFile files_of(const net::LoadGenerator& message, std::vector<UniqueFd> descriptors) {
  auto manifest = make_sealed("manifest", std::as_bytes(std::span(message.manifest)));
  auto files = std::make_shared<std::map<std::string, UniqueFd>>();
  for (std::size_t i = 0; i < descriptors.size(); ++i) files->insert_or_assign(message.files[i], std::move(descriptors[i]));
  if (manifest) files->insert_or_assign("manifest.toml", std::move(*manifest));
  return [files](const std::string& name) -> Result<UniqueFd> {
    const auto found = files->find(name);
    if (found == files->end()) return fail(input_missing("{}: the worker gave the lane no such file", name));
    UniqueFd copy(::dup(found->second.get()));
    if (!copy.valid() || ::lseek(copy.get(), 0, SEEK_SET) != 0) return fail(errno_error(errno, name));
    return copy;
  };
}

}  // namespace

Status LaneSession::on_message(const net::LoadGenerator& message, Descriptors& descriptors) {
  unload();
  if (descriptors.size() != message.files.size()) {
    return fail(make_error(ErrorCode::kDataLoss, "{} files come with {} descriptors", message.files.size(), descriptors.size()));
  }
  WanShotsOptions options;
  KILN_TRY_ASSIGN(options.dtype, sharding::graph_dtype_from_string(message.dtype));
  options.device = set_up_.device;
  options.threads = set_up_.threads;
  KILN_TRY_ASSIGN(auto source, open_wan_shots(files_of(message, std::move(descriptors)), options));
  ShotCallbacks callbacks;
  callbacks.on_progress = [this](const SegmentRun& run, const net::StageProgress& stage) { report_shot(run, stage); };
  callbacks.on_end = [this](const SegmentRun& run) { report_shot_end(run); };
  shots_ = std::make_unique<ShotPipeline>(std::move(source), tools_, std::move(callbacks));
  outbox_.send(net::PackageLoaded{});
  return {};
}

Result<SegmentSpec> LaneSession::plan_shot(const net::SegmentTask& task) const {
  if (shots_ == nullptr) return fail(make_error(ErrorCode::kFailedPrecondition, "no text-to-video model is loaded"));
  KILN_TRY_ASSIGN(SegmentSpec spec, begin_spec(task));
  spec.range = {task.first, task.last, 0, 0, spec.clip->frame_count()};
  if (task.first != 0 || task.last != spec.clip->frame_count() || task.shot.frames != task.last) {
    return fail(make_error(ErrorCode::kOutOfRange, "frames {} to {} of a shot with {}: it is rendered as a whole", task.first,
                           task.last, spec.clip->frame_count()));
  }
  KILN_TRY_ASSIGN(spec.settings, plan_output(task, *spec.clip));
  return spec;
}

void LaneSession::report_shot(const SegmentRun& run, const net::StageProgress& stage) {
  outbox_.send(net::Progress{run.spec.task, run.spec.attempt, run.frames_done.load(), 0, resident_bytes(), stage});
}

void LaneSession::report_shot_end(const SegmentRun& run) {
  if (!run.failed()) return outbox_.send(SegmentReports::done(run));
  outbox_.send(net::LaneTaskFailed{run.spec.task, run.spec.attempt, {run.error(), run.failure_class()}});
}

}  // namespace kiln::lane
