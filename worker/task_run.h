// One task at work here: what it was told, what it got, what it made.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "net/lane_messages.h"
#include "worker/compile_child.h"
#include "worker/core/worker_step.h"
#include "base/file_system.h"
#include "worker/task_files.h"

namespace kiln::worker {

inline constexpr std::uint64_t kAttemptLogBytesMax = 256U << 10U;

// What this host adds to every task.
struct TaskPlace {
  std::string worker;
  std::string work_folder;
};

// Made and changed by the loop thread; a transfer reads it while the core waits for that transfer. The files that a lane
// wrote for it go with it.
struct TaskRun {
  TaskRun(const TaskPlace& place, LaneId where, net::Assign what);
  ~TaskRun();
  TaskRun(const TaskRun&) = delete;
  TaskRun& operator=(const TaskRun&) = delete;

  const net::Assign assign;
  const LaneId slot;
  const std::string folder;  // of its own, below the work folder
  TaskFiles files;

  // What the lane said last.
  std::optional<net::ProbeDone> probe;
  std::optional<net::SegmentDone> segment;
  std::optional<net::JoinDone> join;
  std::shared_ptr<const CompiledLibrary> library;
  std::optional<CompileTicket> ticket;
  std::string outcome;  // of a failure, for its log
  std::string log_path;
  std::uint64_t log_begin = 0;

  [[nodiscard]] TaskKey key() const { return key_of(assign); }
  [[nodiscard]] Status make_folder() const;
  [[nodiscard]] std::string segment_path() const { return folder + "/segment"; }
  // Of a join; its name decides the container. It lies in a folder of its own, which images fill.
  [[nodiscard]] std::string output_folder() const { return folder + "/output"; }
  [[nodiscard]] std::string output_path() const;
  [[nodiscard]] std::string archive_path() const { return folder + "/images.tar"; }
};

// What the lane is told. Descriptors and packages are the lane host's business.
[[nodiscard]] net::ProbeTask probe_task(const TaskRun& run);
[[nodiscard]] net::SegmentTask segment_task(const TaskRun& run, ClipId clip);
[[nodiscard]] net::JoinTask join_task(const TaskRun& run, ClipId clip);

}  // namespace kiln::worker
