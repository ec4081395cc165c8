#include "sharding/segment_assignment.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace kiln::sharding {
namespace {

using Effects = std::vector<AssignmentEffect>;

AssignedSegment& segment_of(AssignmentState& state, SegmentId id) {
  return state.segments[id.value];
}

bool lane_alive_without_failure(const AssignmentState& state, const AssignedSegment& segment) {
  return std::any_of(state.lanes.begin(), state.lanes.end(), [&](const auto& entry) {
    return entry.second.alive && !entry.second.retired && !segment.failed_on.contains(entry.first);
  });
}

bool any_lane_left(const AssignmentState& state) {
  return std::any_of(state.lanes.begin(), state.lanes.end(),
                     [](const auto& entry) { return !entry.second.retired; });
}

// The first waiting segment that this lane may take.
std::optional<SegmentId> next_for(const AssignmentState& state, LaneId lane) {
  for (const SegmentId id : state.waiting) {
    const AssignedSegment& segment = state.segments[id.value];
    if (!segment.failed_on.contains(lane) || !lane_alive_without_failure(state, segment)) return id;
  }
  return std::nullopt;
}

std::string assignment_reason(const AssignmentState& state, const AssignedSegment& segment) {
  if (segment.attempt.value > 0) {
    return fmt::format("try {}: the one before ended with \"{}\"", segment.attempt.value + 1,
                       segment.last_message);
  }
  const auto waiting = static_cast<std::int64_t>(state.waiting.size());
  return waiting <= static_cast<std::int64_t>(state.lanes.size())
             ? fmt::format("first of the last {} waiting", waiting)
             : "next in the clip";
}

void assign(AssignmentState& state, LaneId lane_id, SegmentId id, Effects& effects) {
  AssignedSegment& segment = segment_of(state, id);
  AssignedLane& lane = state.lanes.at(lane_id);
  std::string reason = assignment_reason(state, segment);
  state.waiting.erase(id);
  segment.state = SegmentState::kRunning;
  segment.attempt.value += 1;
  segment.lane = lane_id;
  lane.busy = true;
  lane.segment = id;
  effects.emplace_back(AssignSegment{lane_id, id, segment.attempt, std::move(reason)});
}

int attempts_of(const AssignedSegment& segment, FailureClass failure) {
  switch (failure) {
    case FailureClass::kCrash:
      return segment.crashes;
    case FailureClass::kError:
      return segment.errors;
    case FailureClass::kBadInput:
      return segment.bad_inputs;
  }
  KILN_CHECK(false, "failure class {}", static_cast<int>(failure));
}

int limit_of(const AssignmentLimits& limits, FailureClass failure) {
  if (failure == FailureClass::kCrash) return limits.crash_attempts;
  return failure == FailureClass::kError ? limits.error_attempts : limits.bad_input_attempts;
}

void count(AssignedSegment& segment, FailureClass failure) {
  segment.crashes += failure == FailureClass::kCrash ? 1 : 0;
  segment.errors += failure == FailureClass::kError ? 1 : 0;
  segment.bad_inputs += failure == FailureClass::kBadInput ? 1 : 0;
}

void end_with_failure(AssignmentState& state, std::string reason, FailureClass failure,
                      Effects& effects) {
  state.stopped = true;
  if (state.stop_reason.empty()) state.stop_reason = reason;
  if (std::exchange(state.ended, true)) return;
  effects.emplace_back(JobFailed{std::move(reason), failure});
}

// The running try of `id` failed: back to the front, or failed for good.
void fail_attempt(AssignmentState& state, SegmentId id, FailureClass failure,
                  const std::string& message, Effects& effects) {
  AssignedSegment& segment = segment_of(state, id);
  count(segment, failure);
  segment.failed_on.insert(segment.lane);
  segment.last_message = message;
  if (attempts_of(segment, failure) < limit_of(state.limits, failure)) {
    segment.state = SegmentState::kWaiting;
    state.waiting.insert(id);
    return;
  }
  segment.state = SegmentState::kFailed;
  end_with_failure(state,
                   fmt::format("segment {} failed after {} {}: {}", id.value, segment.attempt.value,
                               segment.attempt.value == 1 ? "try" : "tries", message),
                   failure, effects);
}

// True where the lane was retired by it.
bool lane_failed(AssignmentState& state, LaneId lane_id, const std::string& why, Effects& effects) {
  AssignedLane& lane = state.lanes.at(lane_id);
  lane.failures_in_a_row += 1;
  if (lane.failures_in_a_row < state.limits.lane_failures_in_a_row) return false;
  lane.retired = true;
  effects.emplace_back(
      RetireLane{lane_id, fmt::format("{} failures in a row on lane {}, the last: {}",
                                      lane.failures_in_a_row, lane_id.value, why)});
  return true;
}

// Is this a report about what runs there now? If not, it is counted and dropped.
bool is_current(AssignmentState& state, LaneId lane, SegmentId id, Attempt attempt,
                Effects& effects) {
  std::string reason;
  if (id.value >= state.segments.size()) {
    reason = "no such segment";
  } else if (const AssignedSegment& segment = segment_of(state, id); segment.attempt != attempt) {
    reason = fmt::format("try {} is current", segment.attempt.value);
  } else if (segment.state != SegmentState::kRunning) {
    reason = fmt::format("the segment is {}", to_string(segment.state));
  } else if (segment.lane != lane) {
    reason = fmt::format("it runs on lane {}", segment.lane.value);
  } else {
    return true;
  }
  state.dropped_count += 1;
  effects.emplace_back(DropResult{lane, id, attempt, std::move(reason)});
  return false;
}

void apply(AssignmentState& state, const LaneUp& event, Effects&) {
  const auto [entry, is_new] = state.lanes.try_emplace(event.lane);
  // A retired lane that comes back late gets nothing; a busy one was never reported lost and keeps
  // its work.
  if (!entry->second.retired) entry->second.alive = true;
}

void apply(AssignmentState& state, const LaneLost& event, Effects& effects) {
  const auto entry = state.lanes.find(event.lane);
  if (entry == state.lanes.end()) return;
  AssignedLane& lane = entry->second;
  const bool was_alive = std::exchange(lane.alive, false);
  const bool was_busy = std::exchange(lane.busy, false);
  const bool was_retired = lane.retired;
  if (was_busy) fail_attempt(state, lane.segment, FailureClass::kCrash, event.why, effects);
  // A lane that dies before it is up counts as well, or it would be started for ever.
  if (was_retired || (!was_alive && state.ended)) return;
  if (lane_failed(state, event.lane, event.why, effects)) return;
  if (!state.stopped && !state.all_done()) {
    effects.emplace_back(
        RestartLane{event.lane, fmt::format("lane {} was lost: {}", event.lane.value, event.why)});
  }
}

void apply(AssignmentState& state, const SegmentDone& event, Effects& effects) {
  if (!is_current(state, event.lane, event.segment, event.attempt, effects)) return;
  AssignedLane& lane = state.lanes.at(event.lane);
  segment_of(state, event.segment).state = SegmentState::kDone;
  lane.busy = false;
  lane.failures_in_a_row = 0;
  lane.segments_done += 1;
  state.done_count += 1;
  effects.emplace_back(SegmentFinished{event.segment, event.attempt, event.lane});
}

void apply(AssignmentState& state, const SegmentFailed& event, Effects& effects) {
  if (!is_current(state, event.lane, event.segment, event.attempt, effects)) return;
  state.lanes.at(event.lane).busy = false;
  fail_attempt(state, event.segment, event.failure, event.message, effects);
  // What is wrong with the source is not the lane's fault.
  if (event.failure != FailureClass::kBadInput)
    lane_failed(state, event.lane, event.message, effects);
}

void apply(AssignmentState& state, const StopAssigning& event, Effects&) {
  state.stopped = true;
  if (state.stop_reason.empty()) state.stop_reason = event.why;
}

}  // namespace

std::string_view to_string(FailureClass failure) {
  switch (failure) {
    case FailureClass::kCrash:
      return "crash";
    case FailureClass::kError:
      return "error";
    case FailureClass::kBadInput:
      return "bad input";
  }
  KILN_CHECK(false, "failure class {}", static_cast<int>(failure));
}

std::string_view to_string(SegmentState state) {
  switch (state) {
    case SegmentState::kWaiting:
      return "waiting";
    case SegmentState::kRunning:
      return "running";
    case SegmentState::kDone:
      return "done";
    case SegmentState::kFailed:
      return "failed";
  }
  KILN_CHECK(false, "segment state {}", static_cast<int>(state));
}

Result<AssignmentState> begin_assignment(std::int64_t segment_count,
                                         const std::vector<SegmentId>& finished,
                                         const std::vector<LaneId>& lanes,
                                         const AssignmentLimits& limits) {
  AssignmentState state;
  state.limits = limits;
  state.segments.resize(static_cast<std::size_t>(std::max<std::int64_t>(segment_count, 0)));
  for (std::uint32_t i = 0; i < state.segments.size(); ++i) state.waiting.insert(SegmentId{i});
  for (const SegmentId id : finished) {
    if (id.value >= state.segments.size()) {
      return fail(make_error(
          ErrorCode::kDataLoss, ExitCode::kInputRefused,
          "segment {} is noted as finished but the plan has {}: the state belongs to another job; "
          "use another --state",
          id.value, state.segments.size()));
    }
    if (state.waiting.erase(id) == 0) continue;
    segment_of(state, id).state = SegmentState::kDone;
    state.done_count += 1;
  }
  for (const LaneId lane : lanes) state.lanes.try_emplace(lane);
  return state;
}

std::vector<AssignmentEffect> settle(AssignmentState& state) {
  Effects effects;
  if (state.ended) return effects;
  if (state.all_done()) {
    state.ended = true;
    effects.emplace_back(JobDone{});
    return effects;
  }
  if (!any_lane_left(state)) {
    const auto left = static_cast<std::int64_t>(state.segments.size()) - state.done_count;
    end_with_failure(state, fmt::format("every lane failed repeatedly; {} segments are left", left),
                     FailureClass::kCrash, effects);
    return effects;
  }
  if (state.stopped) return effects;
  for (auto& [id, lane] : state.lanes) {
    if (!lane.alive || lane.retired || lane.busy) continue;
    if (const auto segment = next_for(state, id)) assign(state, id, *segment, effects);
  }
  return effects;
}

std::vector<AssignmentEffect> step(AssignmentState& state, const AssignmentEvent& event) {
  Effects effects;
  std::visit([&](const auto& known) { apply(state, known, effects); }, event);
  Effects due = settle(state);
  std::move(due.begin(), due.end(), std::back_inserter(effects));
  return effects;
}

std::string explain(const AssignmentState& state, SegmentId id) {
  if (id.value >= state.segments.size())
    return fmt::format("segment {}: there is no such segment", id.value);
  const AssignedSegment& segment = state.segments[id.value];
  std::string text = fmt::format("segment {} is {}", id.value, to_string(segment.state));
  if (segment.state == SegmentState::kRunning) {
    text += fmt::format(" on lane {}, try {}", segment.lane.value, segment.attempt.value);
  }
  if (segment.state == SegmentState::kFailed) text += fmt::format(": {}", segment.last_message);
  if (segment.state != SegmentState::kWaiting) return text;
  if (state.stopped) return text + fmt::format(" and will not start: {}", state.stop_reason);
  const auto ahead = std::distance(state.waiting.begin(), state.waiting.find(id));
  text +=
      fmt::format(": {} ahead of it, and every lane that may take it is busy or not up yet", ahead);
  if (!segment.last_message.empty())
    text += fmt::format("; its last try ended with \"{}\"", segment.last_message);
  return text;
}

}  // namespace kiln::sharding
