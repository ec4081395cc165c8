// What tasks made goes into the store, and what is reported of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "worker/blob_cache.h"
#include "worker/store_access.h"
#include "worker/task_run.h"

namespace kiln::worker {

// Any thread. What it borrows outlives it.
class TaskResultStore {
 public:
  TaskResultStore(StoreAccess& store, BlobCache& cache, MakerContext maker, std::string worker)
      : store_(store), cache_(cache), maker_(maker), worker_(std::move(worker)) {}

  [[nodiscard]] Result<net::TaskResult> store(const TaskRun& run);
  // Of this attempt; empty where it cannot be stored, which is no reason to fail.
  [[nodiscard]] net::BlobRef store_log(const TaskRun& run);
  [[nodiscard]] std::uint64_t logs_cut() const { return logs_cut_; }  // to kAttemptLogBytesMax

 private:
  [[nodiscard]] Result<net::TaskResult> store_probe(const TaskRun& run);
  [[nodiscard]] Result<net::TaskResult> store_segment(const TaskRun& run);
  [[nodiscard]] Result<net::TaskResult> store_join(const TaskRun& run);
  [[nodiscard]] Result<net::TaskResult> store_artifact(const TaskRun& run);

  StoreAccess& store_;
  BlobCache& cache_;
  const MakerContext maker_;  // without its store, which is the session's
  const std::string worker_;
  std::atomic<std::uint64_t> logs_cut_ = 0;
};

}  // namespace kiln::worker
