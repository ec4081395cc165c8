// Tells the store what jobs need, so that it evicts none of it. A thread of its own: the store may be slow or away, and
// then what was to be said is said again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/core/farm_step.h"
#include "coordinator/grant_issuer.h"

namespace kiln::coordinator {

class BlobKeeper {
 public:
  explicit BlobKeeper(const GrantIssuer& grants);  // which outlives it
  ~BlobKeeper();
  BlobKeeper(const BlobKeeper&) = delete;
  BlobKeeper& operator=(const BlobKeeper&) = delete;

  // The latest for a job wins; nothing: the job is gone. Any thread.
  void keep(KeepBlobs needs);
  // Whoever else pins something in the store is gone: jobs whose removal it was not told, submissions that never came.
  // Only of a store that is this farm's alone, before the first client comes.
  [[nodiscard]] Status drop_others(const std::set<net::JobName>& jobs);
  // Says what is still due, each once. Nothing is kept any more from then on. Before the store ends.
  void finish();
  [[nodiscard]] std::uint64_t failures() const;
  [[nodiscard]] std::size_t waiting() const;

 private:
  void work();
  [[nodiscard]] Status say(const KeepBlobs& needs) const;

  const GrantIssuer& grants_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<net::JobName, KeepBlobs> due_;
  std::uint64_t failures_ = 0;
  std::uint64_t failures_in_a_row_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace kiln::coordinator
