// Which lane renders which segment next. Pure: step() takes the state and one event and returns
// what is to be done.
//
// Rules. Segments go out in the order of the clip, each to one lane at a time; a lane holds one. A
// failed try goes back to the front, to a lane on which it has not failed while one is alive. A
// segment fails for good after as many tries as its kind of failure allows; then no more go out,
// what runs may end, and what is done stays done. A lane that failed several times in a row is
// retired. A result whose (segment, attempt) is not the one that runs is dropped.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "sharding/assignment_events.h"

namespace kiln::sharding {

struct AssignmentLimits {
  int crash_attempts = 3;
  int error_attempts = 3;
  int bad_input_attempts = 1;
  int lane_failures_in_a_row = 3;
};

enum class SegmentState { kWaiting, kRunning, kDone, kFailed };
[[nodiscard]] std::string_view to_string(SegmentState state);

struct AssignedSegment {
  SegmentState state = SegmentState::kWaiting;
  Attempt attempt;  // of the running or last try; 0: none yet
  LaneId lane;      // where it runs, ran or was done
  int crashes = 0;
  int errors = 0;
  int bad_inputs = 0;
  std::set<LaneId> failed_on;
  std::string last_message;
};

struct AssignedLane {
  bool alive = false;
  bool retired = false;
  bool busy = false;
  SegmentId segment;  // while busy
  int failures_in_a_row = 0;
  std::int64_t segments_done = 0;
};

struct AssignmentState {
  AssignmentLimits limits;
  std::vector<AssignedSegment> segments;  // by SegmentId
  std::map<LaneId, AssignedLane> lanes;
  std::set<SegmentId> waiting;
  std::int64_t done_count = 0;
  std::int64_t dropped_count = 0;
  bool stopped = false;  // no more assignments
  bool ended = false;    // JobDone or JobFailed was given out
  std::string stop_reason;

  [[nodiscard]] bool all_done() const {
    return done_count == static_cast<std::int64_t>(segments.size());
  }
};

// `finished`: done by an earlier run; `lanes`: all that may come up. Refuses a finished segment
// that does not exist.
[[nodiscard]] Result<AssignmentState> begin_assignment(std::int64_t segment_count,
                                                       const std::vector<SegmentId>& finished,
                                                       const std::vector<LaneId>& lanes,
                                                       const AssignmentLimits& limits = {});

// Asks the state for what is due without an event: JobDone when nothing is left to do at the start.
[[nodiscard]] std::vector<AssignmentEffect> settle(AssignmentState& state);
[[nodiscard]] std::vector<AssignmentEffect> step(AssignmentState& state,
                                                 const AssignmentEvent& event);

// Why this segment is where it is, in one line.
[[nodiscard]] std::string explain(const AssignmentState& state, SegmentId segment);

}  // namespace kiln::sharding
