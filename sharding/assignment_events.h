// What happens to segments and lanes, and what is to be done about it; sharding/segment_assignment.h says when.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"

namespace kiln::sharding {

enum class FailureClass {
  kCrash,     // the lane died or was killed for hanging
  kError,     // the lane lives and says what went wrong
  kBadInput,  // the source cannot be read there: trying again changes nothing
};
[[nodiscard]] std::string_view to_string(FailureClass failure);

// Events.
struct LaneUp {  // started, or started again
  LaneId lane;
};
struct LaneLost {  // its process is gone
  LaneId lane;
  std::string why;
};
struct SegmentDone {
  LaneId lane;
  SegmentId segment;
  Attempt attempt;
};
struct SegmentFailed {
  LaneId lane;
  SegmentId segment;
  Attempt attempt;
  FailureClass failure = FailureClass::kError;
  std::string message;
};
struct StopAssigning {  // the user asked to end; what runs may finish
  std::string why;
};
using AssignmentEvent = std::variant<LaneUp, LaneLost, SegmentDone, SegmentFailed, StopAssigning>;

// Effects, in the order in which they are to be carried out.
struct AssignSegment {
  LaneId lane;
  SegmentId segment;
  Attempt attempt;  // starts at 1
  std::string reason;
};
struct SegmentFinished {  // write it down: a later run starts without it
  SegmentId segment;
  Attempt attempt;
  LaneId lane;
};
struct RestartLane {
  LaneId lane;
  std::string reason;
};
struct RetireLane {  // stop it and do not start it again
  LaneId lane;
  std::string reason;
};
struct DropResult {  // late or unknown; count it
  LaneId lane;
  SegmentId segment;
  Attempt attempt;
  std::string reason;
};
struct JobDone {};
struct JobFailed {
  std::string reason;  // one line for the user
  FailureClass failure = FailureClass::kError;
};
using AssignmentEffect = std::variant<AssignSegment, SegmentFinished, RestartLane, RetireLane,
                                      DropResult, JobDone, JobFailed>;

}  // namespace kiln::sharding
