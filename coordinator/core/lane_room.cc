// What a lane may be given beside what it has. A second segment comes so late that, should the lane turn out slow, little waits
// behind it, and so early that it can be fetched and decoded by the time the model is free.
#include <algorithm>
#include <limits>

#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator {
namespace {

bool is_segment(const Turn& turn, const LaneTask& on_lane) {
  const TaskRecord* task = turn.task(on_lane.number);
  return task != nullptr && task->kind == net::TaskKind::kSegment;
}

// Fewer say more about a start than about a speed.
constexpr std::int64_t kFramesOfSpeedMin = 4;

double speed_so_far(const Turn& turn, const LaneTask& on_lane) {
  const double elapsed_s = static_cast<double>((turn.now.at - on_lane.assigned_at).count()) / 1000.0;
  return elapsed_s > 0.0 ? static_cast<double>(on_lane.frames_done) / elapsed_s : 0.0;
}

// What its speed is kept by; empty: of a clip that is no more.
std::string speed_key_of(const Turn& turn, const TaskRecord& task) {
  const JobRecord* job = turn.job(task.job);
  if (job == nullptr || task.clip >= job->clips.size() || !job->clips[task.clip].plan) return {};
  return speed_key(*job->clips[task.clip].plan);
}

// As it was for whole segments, or as this one goes, whichever is faster: what comes too early costs less than an idle card.
double frames_per_second(const Turn& turn, const LaneLive& lane, const LaneTask& on_lane) {
  const double out = speed_so_far(turn, on_lane);
  const auto known = lane.frames_per_second.find(speed_key_of(turn, *turn.task(on_lane.number)));
  return known == lane.frames_per_second.end() ? out : std::max(out, known->second);
}

std::int64_t frames_due(const Turn& turn, const LaneTask& on_lane) {
  const TaskRecord& task = *turn.task(on_lane.number);
  return std::max<std::int64_t>(task.last - task.first - on_lane.frames_done, 0);
}

double rest_s(const Turn& turn, const LaneLive& lane, const LaneTask& on_lane) {
  const std::int64_t left = frames_due(turn, on_lane);
  if (left == 0) return 0.0;
  const double speed = frames_per_second(turn, lane, on_lane);
  return speed > 0.0 ? static_cast<double>(left) / speed : std::numeric_limits<double>::infinity();
}

}  // namespace

double lane_speed(const Turn& turn, const LaneLive& lane, const std::string& key) {
  const auto known = lane.frames_per_second.find(key);
  if (known != lane.frames_per_second.end()) return known->second;
  double out = 0.0;
  for (const LaneTask& on_lane : lane.tasks) {
    if (on_lane.frames_done < kFramesOfSpeedMin || !is_segment(turn, on_lane)) continue;
    if (speed_key_of(turn, *turn.task(on_lane.number)) == key) out = std::max(out, speed_so_far(turn, on_lane));
  }
  return out;
}

bool takes_segment(const Turn& turn, const LaneLive& lane) {
  const LaneTask* at_work = nullptr;
  for (const LaneTask& task : lane.tasks) {
    if (!is_segment(turn, task)) continue;
    if (at_work != nullptr) return false;
    at_work = &task;
  }
  if (at_work == nullptr) return true;
  return rest_s(turn, lane, *at_work) * 1000.0 <= static_cast<double>(turn.state.rules.segment_ahead_ms);
}

std::int64_t frames_due(const Turn& turn, const LaneLive& lane) {
  std::int64_t out = 0;
  for (const LaneTask& task : lane.tasks) out += is_segment(turn, task) ? frames_due(turn, task) : 0;
  return out;
}

bool takes_chore(const Turn& turn, const LaneLive& lane) {
  return std::all_of(lane.tasks.begin(), lane.tasks.end(), [&](const LaneTask& task) { return is_segment(turn, task); });
}

}  // namespace kiln::coordinator
