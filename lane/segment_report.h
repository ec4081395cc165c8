// What a lane says of a segment that it has rendered.
#pragma once

#include <cstdint>
#include <mutex>

#include "lane/engine/network.h"
#include "lane/pipelines/segment_run.h"
#include "net/from_lane_messages.h"
#include "sharding/card_memory.h"

namespace kiln::lane {

// Any thread.
class SegmentReports {
 public:
  // Of a card's memory, what this process takes before it does anything.
  void expect_context(std::uint64_t context_bytes) { context_bytes_ = context_bytes; }
  [[nodiscard]] net::SegmentDone done(const SegmentRun& run, const Network& network);
  // Of a run whose memory nobody counts.
  [[nodiscard]] static net::SegmentDone done(const SegmentRun& run);

 private:
  [[nodiscard]] net::CardMemory card_memory(const SegmentRun& run, const Network& network);

  std::uint64_t context_bytes_ = 0;
  std::mutex mutex_;
  sharding::CardEstimate largest_;  // of all segments so far, guarded by mutex_
};

// What will be on the card for such a run, by the larger of the executors that took part.
[[nodiscard]] Result<sharding::CardEstimate> estimate_of(const SegmentRun& run, const Network& network,
                                                         std::uint64_t context_bytes);
// Of this process, in memory.
[[nodiscard]] std::uint64_t resident_bytes();
// Since the process was started, until `at`.
[[nodiscard]] double seconds_since_start(std::chrono::steady_clock::time_point at);

}  // namespace kiln::lane
