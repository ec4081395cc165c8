// The state that the journal holds: read at a start, and saved as snapshots so that a start need not read every fact.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "coordinator/core/farm_state.h"
#include "coordinator/journal/journal.h"

namespace kiln::coordinator {

inline constexpr std::uint64_t kSnapshotFacts = 100'000;         // between two snapshots, unless the configuration says
inline constexpr std::uint64_t kSnapshotFactsAtStop = 1'000;     // a clean end is not made longer for fewer
inline constexpr std::chrono::milliseconds kSnapshotLook{500};   // how often it is asked whether one is due

struct SavedState {
  Durable durable;
  std::uint64_t sequence = 0;  // of the last fact in it
  std::uint64_t snapshot = 0;  // that it began with; 0: none
  std::uint64_t damaged = 0;   // snapshots that were passed over
};

// The newest snapshot that is whole and the facts behind it; without one all facts. A damaged one is passed over for the
// one before it, with a line in the log.
[[nodiscard]] Result<SavedState> load_state(Journal& journal);

struct SnapshotStats {
  std::uint64_t written = 0;
  std::uint64_t failed = 0;
  std::uint64_t bytes = 0;    // of the last
  double seconds = 0.0;       // that the last took
  std::uint64_t sequence = 0;  // of the last that is whole
};

// Makes snapshots on a thread of its own, from the disk and not from the state that the loop works on: the newest one
// and the facts behind it, as a start would. So the loop never waits for it, and every snapshot proves the one before.
class SnapshotKeeper {
 public:
  // `newest`: of the last snapshot that is whole. The journal outlives it.
  SnapshotKeeper(Journal& journal, std::uint64_t facts, std::uint64_t newest);
  ~SnapshotKeeper();
  SnapshotKeeper(const SnapshotKeeper&) = delete;
  SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

  [[nodiscard]] SnapshotStats stats() const;  // any thread
  // No more of its own. A state that is at hand is saved when it is worth it; `durable` is what all facts come to.
  [[nodiscard]] Status finish(const Durable& durable);

 private:
  void work();
  [[nodiscard]] Status save_from_disk();
  [[nodiscard]] Status save(const Durable& durable, std::uint64_t sequence);
  void end_thread();

  Journal& journal_;
  const std::uint64_t facts_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  SnapshotStats stats_;
  std::thread thread_;
};

}  // namespace kiln::coordinator
