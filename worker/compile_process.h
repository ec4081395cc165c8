// One compile child from start to end. Used by the one thread that spawned it (it dies with that thread).
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/process.h"
#include "worker/compile_child.h"
#include "worker/compile_protocol.h"
#include "worker/confinement.h"
#include "worker/work_folder.h"

namespace kiln::worker {

inline constexpr std::size_t kReplyLineBytesMax = 1U << 20U;
inline constexpr std::chrono::milliseconds kMemoryWatchInterval{50};
inline constexpr std::uint64_t kChildLogTailBytes = 2000;

// A request's way to end a wait early; `wake_fd` becomes readable when `asked` is set.
struct StopSignal {
  const std::atomic<bool>* asked = nullptr;
  int wake_fd = -1;
};

class CompileProcess {
 public:
  // Empties the work folder (precompiled headers stay), spawns, confines, waits for the hello.
  [[nodiscard]] static Result<std::unique_ptr<CompileProcess>> start(const CompileChildOptions& options,
                                                                     const StopSignal& stop);

  // `refused`: the child is well and said why it cannot; any other error has cost the child its life.
  struct Failure {
    Error error;
    bool refused = false;
  };
  [[nodiscard]] tl::expected<CompiledLibrary, Failure> compile(const CompileRequest& request, std::uint64_t id,
                                                               const StopSignal& stop);

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  [[nodiscard]] const Confinement& confinement() const { return *confinement_; }
  // True while it runs and has said nothing unasked; drains progress lines.
  [[nodiscard]] bool healthy();

 private:
  explicit CompileProcess(const CompileChildOptions& options) : options_(options) {}
  [[nodiscard]] Status spawn();
  [[nodiscard]] Status expect_hello(const StopSignal& stop);
  // The next reply that is no progress, watching memory, deadline, life and `stop`.
  [[nodiscard]] Result<ChildReply> await_reply(std::chrono::milliseconds deadline, const StopSignal& stop);
  [[nodiscard]] Result<std::optional<ChildReply>> next_line();
  [[nodiscard]] Status read_more();
  [[nodiscard]] Status watch_memory();
  [[nodiscard]] Error death_error();
  [[nodiscard]] Result<CompiledLibrary> take_library(ChildDone done, std::string_view name);
  [[nodiscard]] std::string log_tail() const;

  CompileChildOptions options_;
  std::optional<WorkFolder> folder_;
  std::optional<Confinement> confinement_;
  ChildProcess process_;
  UniqueFd requests_;  // we write
  UniqueFd replies_;   // we read
  std::string buffer_;
  std::uint64_t peak_rss_bytes_ = 0;
};

}  // namespace kiln::worker
