#include "cli/upscale/lane_pool.h"

#include <utility>

#include "base/log.h"
#include "worker/process_memory.h"

namespace kiln::cli {

using Clock = std::chrono::steady_clock;

LanePool::LanePool(LanePoolOptions options, const PackageFolder& package, LanePoolEvents events)
    : options_(std::move(options)), package_(package), events_(std::move(events)) {}

Status LanePool::start(LaneId id) {
  KILN_TRY_ASSIGN(auto process, worker::LaneProcess::start(id, options_.start));
  const auto [entry, inserted] = lanes_.insert_or_assign(id, Lane{std::move(process), Clock::now()});
  return set_up(entry->second);
}

Status LanePool::set_up(Lane& lane) {
  net::SetUp set_up;
  set_up.lane = lane.process.id();
  set_up.threads = options_.threads_per_lane;
  set_up.device = options_.device;
  set_up.ffmpeg = options_.ffmpeg;
  set_up.encoder_threads = options_.encoder_threads;
  set_up.trusted_keys = options_.trusted_keys;
  KILN_TRY(lane.process.send(set_up));

  net::LoadPackage load;
  load.manifest = package_.manifest_text;
  load.dtype = sharding::to_string(options_.dtype);
  std::vector<int> descriptors;
  for (const auto& graph : package_.graphs) {
    load.graphs.push_back(graph.index);
    descriptors.push_back(graph.pt2.get());
  }
  descriptors.push_back(package_.weights.get());
  KILN_TRY(lane.process.send(load, descriptors));
  for (const auto& [clip, description] : clips_) KILN_TRY(send_clip(lane, clip, *description));
  return {};
}

Status LanePool::send_clip(Lane& lane, ClipId clip, const UniqueFd& description) {
  return lane.process.send(net::DefineClip{clip}, {description.get()});
}

Status LanePool::send_artifact(Lane& lane, const worker::ReadyArtifact& artifact) {
  return lane.process.send(net::OfferArtifact{artifact.key.hex(), artifact.envelope}, {artifact.content.get()});
}

// A lane that cannot be written to is dying: its closed socket tells soon enough.
void LanePool::define_clip(ClipId clip, std::shared_ptr<UniqueFd> description) {
  for (auto& [id, lane] : lanes_) (void)send_clip(lane, clip, *description);
  clips_[clip] = std::move(description);
}

void LanePool::offer_artifact(std::shared_ptr<const worker::ReadyArtifact> artifact) {
  for (auto& [id, lane] : lanes_) {
    if (lane.loaded) (void)send_artifact(lane, *artifact);
  }
  artifacts_.push_back(std::move(artifact));
}

void LanePool::catch_up(Lane& lane) {
  lane.loaded = true;
  for (const auto& artifact : artifacts_) (void)send_artifact(lane, *artifact);
}

Status LanePool::send(LaneId id, const net::ToLane& message) {
  const auto found = lanes_.find(id);
  if (found == lanes_.end()) return fail(make_error(ErrorCode::kUnavailable, "lane {} is not running", id.value));
  found->second.heard = Clock::now();
  return found->second.process.send(message);
}

std::vector<int> LanePool::wait_fds() const {
  std::vector<int> fds;
  for (const auto& [id, lane] : lanes_) fds.push_back(lane.process.fd());
  return fds;
}

void LanePool::on_readable(int fd) {
  for (auto& [id, lane] : lanes_) {
    if (lane.process.fd() != fd) continue;
    auto message = lane.process.receive();
    if (!message) return lose(id, message.error().message);
    if (!*message) return lose(id, "it ended");
    lane.heard = Clock::now();
    if (std::holds_alternative<net::PackageLoaded>(**message)) catch_up(lane);
    events_.on_message(id, **message);
    return;
  }
}

void LanePool::lose(LaneId id, const std::string& why) {
  const auto found = lanes_.find(id);
  const ExitStatus status = found->second.process.stop(kLaneStopDeadline);
  lanes_.erase(found);
  const std::string text = status.ok() ? why : status.describe();
  log::debug("lane {} is lost: {}", id.value, text);
  events_.on_lost(id, text);
}

// Since the last look; at the first one always.
bool LanePool::has_worked(Lane& lane) {
  const std::uint64_t before = std::exchange(lane.cpu_ticks, worker::cpu_ticks_of_tree(lane.process.pid()));
  return lane.cpu_ticks != before;
}

void LanePool::kill_silent(Clock::time_point now, const std::function<LaneWork(LaneId)>& work_of) {
  for (auto& [id, lane] : lanes_) {
    const LaneWork work = lane.loaded ? work_of(id) : LaneWork::kChore;
    if (work != LaneWork::kNothing && now - lane.heard < options_.silence_max) continue;
    if (work == LaneWork::kNothing || (work == LaneWork::kChore && has_worked(lane))) {
      lane.heard = now;
      continue;
    }
    log::warn("lane {} gave no sign of life for {} s and is killed", id.value, options_.silence_max.count());
    lane.process.kill();
    return lose(id, "it hung");
  }
}

void LanePool::stop(LaneId id) {
  const auto found = lanes_.find(id);
  if (found == lanes_.end()) return;
  found->second.process.stop(kLaneStopDeadline);
  lanes_.erase(found);
}

void LanePool::stop_all() {
  for (auto& [id, lane] : lanes_) lane.process.kill();
  lanes_.clear();
}

std::vector<pid_t> LanePool::pids() const {
  std::vector<pid_t> out;
  for (const auto& [id, lane] : lanes_) out.push_back(lane.process.pid());
  return out;
}

}  // namespace kiln::cli
