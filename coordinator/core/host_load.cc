// What lanes take of the cores of their hosts, as their segments told, and what that leaves of their speeds.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"
#include "coordinator/core/host_load.h"

namespace kiln::coordinator {
namespace {

// How much a new measurement weighs against what was known.
constexpr double kSpeedWeight = 0.5;

// Of a lane that renders ever new kinds of clips, some kind is forgotten.
template <typename Value>
Value& kept(Turn& turn, std::map<std::string, Value>& values, const std::string& key) {
  if (!values.contains(key) && values.size() >= kSpeedsKept) {
    values.erase(values.begin());
    ++turn.live().counters.speeds_forgotten;
  }
  return values[key];
}

void learn(double& known, double measured) {
  known = known <= 0.0 ? measured : known + kSpeedWeight * (measured - known);
}

std::string ending_of(const std::string& path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string::npos ? std::string() : path.substr(dot);
}

// "a", "a, b": the workers that share them.
void add_name(sharding::HostFit& host, const net::WorkerName& worker) {
  if (!host.name.empty()) host.name += ", ";
  host.name += worker;
}

std::string host_key(const WorkerSession& session) {
  return session.hello.host.empty() ? "worker " + session.hello.worker : "cores " + session.hello.host;
}

void learn_cores(Turn& turn, LaneLive& lane, const std::string& speed, const std::string& media, const net::SegmentResult& result,
                 double frames) {
  if (result.decode_core_s + result.model_core_s + result.encode_core_s <= 0.0) return;  // its worker does not count them
  ModelCost& model = kept(turn, lane.model_costs, speed);
  learn(model.core_seconds, result.model_core_s / frames);
  if (result.model_s > 0.0) learn(model.frames_per_second, frames / result.model_s);
  MediaCost& cost = kept(turn, lane.media_costs, media);
  learn(cost.decode_core_seconds, result.decode_core_s / frames);
  learn(cost.encode_core_seconds, result.encode_core_s / frames);
}

// Of a frame on that host, as those of its lanes found that know: encoders run alike on all.
std::map<std::string, MediaCost> media_costs(const Turn& turn, const std::string& media) {
  std::map<std::string, std::pair<MediaCost, int>> sums;
  for (const auto& [name, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      const auto known = lane.media_costs.find(media);
      if (known == lane.media_costs.end()) continue;
      auto& [sum, count] = sums[host_key(session)];
      sum.decode_core_seconds += known->second.decode_core_seconds;
      sum.encode_core_seconds += known->second.encode_core_seconds;
      ++count;
    }
  }
  std::map<std::string, MediaCost> out;
  for (const auto& [host, entry] : sums) {
    const auto& [sum, count] = entry;
    out[host] = {sum.decode_core_seconds / count, sum.encode_core_seconds / count};
  }
  return out;
}

sharding::LaneLoad load_of(const Turn& turn, const LaneLive& lane, const std::string& speed, const MediaCost* media) {
  sharding::LaneLoad out;
  out.frames_per_second = lane_speed(turn, lane, speed);
  const auto model = lane.model_costs.find(speed);
  if (media == nullptr || model == lane.model_costs.end()) return out;
  out.model_frames_per_second = model->second.frames_per_second;
  out.model_core_seconds = model->second.core_seconds;
  out.decode_core_seconds = media->decode_core_seconds;
  out.encode_core_seconds = media->encode_core_seconds;
  return out;
}

}  // namespace

std::string media_key(const JobRecord& job, std::uint32_t clip) {
  const net::ClipRequest& request = job.request.clips[clip];
  const net::ProbeResult& probe = *job.clips[clip].probe;
  return fmt::format("{}x{} {} {}{} > {}x{} {} {} {} {} {} {}", probe.width, probe.height, probe.pixel_format,
                     ending_of(request.source.path), request.output.deinterlace ? " deinterlaced" : "", probe.output_width,
                     probe.output_height, probe.output_pixel_format, ending_of(request.output.file_name), request.output.codec,
                     request.output.encoder, request.output.preset, request.output.quality);
}

void learn_speed(Turn& turn, const TaskRecord& task, const net::SegmentResult& result) {
  const JobRecord* job = turn.job(task.job);
  LaneLive* lane = turn.lane(task.lane);
  if (job == nullptr || lane == nullptr || task.clip >= job->clips.size() || !job->clips[task.clip].plan) return;
  const std::string key = speed_key(*job->clips[task.clip].plan);
  const double frames = static_cast<double>(task.last - task.first);
  learn_cores(turn, *lane, key, media_key(*job, task.clip), result, frames);
  // What is fetched and stored while another segment is rendered costs the lane nothing, unless it takes longer than that.
  const bool alone = lane->tasks.size() <= 1;
  const double seconds = alone ? result.wall_s + result.transfer_s : std::max(result.wall_s, result.transfer_s);
  if (seconds > 0.0) learn(kept(turn, lane->frames_per_second, key), frames / seconds);
}

int HostTable::number_of(const WorkerSession& session) {
  const auto [entry, is_new] = numbers_.try_emplace(host_key(session), static_cast<int>(hosts_.size()));
  if (is_new) hosts_.emplace_back();
  sharding::HostFit& host = hosts_[static_cast<std::size_t>(entry->second)];
  if (!named_.insert(session.hello.worker).second) return entry->second;
  add_name(host, session.hello.worker);
  host.cores = std::max(host.cores, session.hello.cores);
  return entry->second;
}

const MediaCost* HostTable::media_cost(const WorkerSession& session, const std::string& media) {
  auto known = media_.find(media);
  if (known == media_.end()) known = media_.emplace(media, media_costs(turn_, media)).first;
  const auto found = known->second.find(host_key(session));
  return found == known->second.end() ? nullptr : &found->second;
}

namespace {

// What a lane that gets nothing of a clip takes of its host meanwhile; nothing: it is at no segment, or nobody knows yet.
std::optional<sharding::LaneLoad> load_beside(const Turn& turn, HostTable& table, const WorkerSession& session, const LaneLive& lane) {
  if (!session.connected) return std::nullopt;
  for (const LaneTask& on_lane : lane.tasks) {
    const TaskRecord* task = turn.task(on_lane.number);
    if (task == nullptr || task->kind != net::TaskKind::kSegment) continue;
    const JobRecord* job = turn.job(task->job);
    if (job == nullptr || task->clip >= job->clips.size() || !job->clips[task->clip].plan) return std::nullopt;
    const MediaCost* media = table.media_cost(session, media_key(*job, task->clip));
    sharding::LaneLoad out = load_of(turn, lane, speed_key(*job->clips[task->clip].plan), media);
    out.beside = true;
    return out.core_seconds() > 0.0 ? std::optional(out) : std::nullopt;
  }
  return std::nullopt;
}

// Lanes of a host that work on a clip, and what those beside them take.
struct LanesOfHost {
  std::vector<LaneName> names;
  std::vector<sharding::LaneLoad> loads;
  std::vector<sharding::LaneLoad> beside;
};

// Adds what the lanes of one host reach; returns of how many it is known.
std::int64_t add_host(const sharding::HostFit& host, const LanesOfHost& lanes, ClipSpeeds& out) {
  std::vector<sharding::LaneLoad> all = lanes.loads;
  all.insert(all.end(), lanes.beside.begin(), lanes.beside.end());
  std::vector<sharding::CoreDemand> demands;
  for (const sharding::LaneLoad& lane : all) demands.push_back({lane.frames_per_second, lane.core_seconds()});
  const sharding::CoreShares shares = sharding::share_cores(host.cores, demands);
  std::int64_t known = 0;
  for (std::size_t i = 0; i < lanes.names.size(); ++i) {
    out.frames_per_second[lanes.names[i]] = shares.frames_per_second[i];
    out.total += shares.frames_per_second[i];
    known += shares.frames_per_second[i] > 0.0 ? 1 : 0;
  }
  const sharding::HostLoad load = sharding::load_host(host.cores, all);
  if (load.taken() > load.beside_cores) out.hosts.push_back({host, load});
  return known;
}

}  // namespace

ClipSpeeds clip_speeds(const Turn& turn, const JobRecord& job, std::uint32_t index) {
  const ClipRecord& clip = job.clips[index];
  const std::string speed = speed_key(*clip.plan);
  const std::string media = media_key(job, index);
  HostTable table(turn);
  ClipSpeeds out;
  std::map<int, LanesOfHost> hosts;
  for (const auto& [worker, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      const LaneName name{worker, id};
      if (unusable_reason(turn, job, name, lane) || unfit_reason(turn, job, clip, name, lane)) {
        if (auto beside = load_beside(turn, table, session, lane)) hosts[table.number_of(session)].beside.push_back(*beside);
        continue;
      }
      LanesOfHost& host = hosts[table.number_of(session)];
      host.names.push_back(name);
      host.loads.push_back(load_of(turn, lane, speed, table.media_cost(session, media)));
      out.frames_due += frames_due(turn, lane);
    }
  }
  std::int64_t known_lanes = 0;
  for (const auto& [number, lanes] : hosts) {
    if (!lanes.names.empty()) known_lanes += add_host(table.hosts()[static_cast<std::size_t>(number)], lanes, out);
  }
  if (known_lanes > 0) out.total *= static_cast<double>(out.frames_per_second.size()) / static_cast<double>(known_lanes);
  return out;
}

std::string host_line(const HostSpeeds& one) {
  const auto& [host, load] = one;
  const double most = std::max(load.decode_cores, load.model_cores);
  const bool by_others = load.beside_cores > std::max(most, load.encode_cores);
  if (!load.holds_back()) {
    const std::string beside = load.beside_cores > 0.0 ? fmt::format(", {:.1f} for other clips", load.beside_cores) : std::string();
    return fmt::format("{}: its lanes take {:.1f} of its {} cores, {:.1f} to decode, {:.1f} for the network, {:.1f} to encode{}",
                       host.name, load.taken(), host.cores, load.decode_cores, load.model_cores, load.encode_cores, beside);
  }
  const bool by_encoders = !by_others && load.encode_cores >= most;
  return fmt::format("{}: {}, {} enough for {:.1f} of the {:.1f} frames a second of its lanes ({} would give more)", host.name,
                     sharding::largest_share_text(host.cores, load), by_others ? "and the rest is" : "which are", load.reached,
                     load.wanted, by_encoders ? "a faster preset or codec, or lanes on other hosts," : "lanes on other hosts");
}

}  // namespace kiln::coordinator
