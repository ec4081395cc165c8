#include "sharding/clip_placement.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "sharding/host_cores.h"

namespace kiln::sharding {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

double mean_speed(const std::vector<LaneFit>& lanes) {
  double sum = 0.0;
  int known = 0;
  for (const LaneFit& lane : lanes) {
    if (lane.frames_per_second <= 0.0) continue;
    sum += lane.frames_per_second;
    ++known;
  }
  return known == 0 ? 1.0 : sum / known;
}

std::string too_small(const LaneFit& lane, std::uint64_t holds, std::uint64_t needs) {
  return fmt::format("{}: holds {:.0f} MiB, {:.0f} MiB are needed", lane.name, static_cast<double>(holds) / kMiB,
                     static_cast<double>(needs) / kMiB);
}

std::uint64_t budget_of(const ClipPlacementRequest& request, const LaneFit& lane) {
  return request.budget_bytes_max == 0 ? lane.budget_bytes : std::min(lane.budget_bytes, request.budget_bytes_max);
}

// The best of what the class computes in for which there are tiles.
std::optional<GraphDtype> dtype_of(const ClipPlacementRequest& request, const LaneFit& lane) {
  for (const GraphDtype dtype : lane.dtypes) {
    const bool offered = std::any_of(request.offers.begin(), request.offers.end(),
                                     [&](const TileOffer& offer) { return offer.dtype == dtype; });
    if (offered) return dtype;
  }
  return std::nullopt;
}

bool may_compute(const LaneFit& lane, GraphDtype dtype) {
  return std::find(lane.dtypes.begin(), lane.dtypes.end(), dtype) != lane.dtypes.end();
}

std::string other_dtype(const LaneFit& lane, GraphDtype dtype) {
  return fmt::format("{}: does not compute in {}, which this clip is rendered in", lane.name, to_string(dtype));
}

// With `cost` times the work of whole frames.
LaneLoad load_of(const LaneFit& lane, double mean, double cost) {
  LaneLoad out;
  out.frames_per_second = (lane.frames_per_second > 0.0 ? lane.frames_per_second : mean) / cost;
  out.model_frames_per_second = lane.model_frames_per_second / cost;
  out.decode_core_seconds = std::max(0.0, lane.media_core_seconds - lane.encode_core_seconds);
  out.model_core_seconds = lane.model_core_seconds * cost;
  out.encode_core_seconds = lane.encode_core_seconds;
  return out;
}

std::string held_back_text(const HostFit& host, const std::vector<LaneFit>& lanes, const HostLoad& load) {
  std::string out = fmt::format("{}: its {} cores are enough for {:.1f} of the {:.1f} frames a second of its lanes", host.name,
                                host.cores, load.reached, load.wanted);
  const bool told_apart = std::any_of(lanes.begin(), lanes.end(), [](const LaneFit& lane) { return lane.encode_core_seconds > 0.0; });
  if (told_apart) out += ": " + largest_share_text(host.cores, load);
  return out;
}

// What the lanes of a placement reach together.
void add_speeds(const ClipPlacementRequest& request, double mean, double cost, ClipPlacement& placement) {
  std::map<int, std::vector<LaneFit>> by_host;
  for (const std::size_t i : placement.lanes) by_host[request.lanes[i].host].push_back(request.lanes[i]);
  for (const auto& [number, lanes] : by_host) {
    const bool known = number >= 0 && static_cast<std::size_t>(number) < request.hosts.size();
    const HostFit host = known ? request.hosts[static_cast<std::size_t>(number)] : HostFit{};
    std::vector<LaneLoad> loads;
    for (const LaneFit& lane : lanes) loads.push_back(load_of(lane, mean, cost));
    const HostLoad load = load_host(host.cores, loads);
    placement.frames_per_second += load.reached;
    if (load.holds_back()) placement.held_back.push_back(held_back_text(host, lanes, load));
  }
}

ClipPlacement weigh(const ClipPlacementRequest& request, int kind, std::size_t offer, double mean, double least_pixels) {
  ClipPlacement out;
  out.kind = kind;
  out.offer = offer;
  const double cost = static_cast<double>(std::max<std::int64_t>(request.offers[offer].computed_pixels, 1)) / least_pixels;
  for (std::size_t i = 0; i < request.lanes.size(); ++i) {
    const LaneFit& lane = request.lanes[i];
    if (lane.kind != kind && !request.mix_kinds) {
      out.left_out.push_back(fmt::format("{}: another class of lane renders this clip", lane.name));
      continue;
    }
    if (!may_compute(lane, request.offers[offer].dtype)) {
      out.left_out.push_back(other_dtype(lane, request.offers[offer].dtype));
      continue;
    }
    const std::uint64_t needs = needed_bytes(request, lane, offer);
    const std::uint64_t holds = budget_of(request, lane);
    if (holds < needs) {
      out.left_out.push_back(too_small(lane, holds, needs));
      continue;
    }
    out.lanes.push_back(i);
  }
  add_speeds(request, mean, cost, out);
  return out;
}

void explain_nothing(const ClipPlacementRequest& request, std::vector<std::string>& why) {
  if (request.lanes.empty()) why.emplace_back("no lane is there");
  for (const LaneFit& lane : request.lanes) {
    if (lane.dtypes.empty()) {
      why.push_back(lane.name + ": does not compute in the precision that the job asks for, or the package has no graph of it");
      continue;
    }
    std::uint64_t least = 0;
    for (std::size_t i = 0; i < request.offers.size(); ++i) {
      if (dtype_of(request, lane) != request.offers[i].dtype) continue;
      const std::uint64_t needs = needed_bytes(request, lane, i);
      if (least == 0 || needs < least) least = needs;
    }
    why.push_back(least == 0 ? lane.name + ": the clip fits in no tile that the package has"
                             : too_small(lane, budget_of(request, lane), least));
  }
}

}  // namespace

std::uint64_t needed_bytes(const ClipPlacementRequest& request, const LaneFit& lane, std::size_t offer) {
  const TileOffer& tiles = request.offers[offer];
  std::uint64_t needs = lane.on_card && tiles.card_bytes > 0 ? tiles.card_bytes : tiles.activation_bytes;
  for (const LearnedNeed& learned : request.learned) {
    if (learned.kind == lane.kind && learned.offer == offer) needs = std::max(needs, learned.budget_bytes_min);
  }
  return needs;
}

std::optional<ClipPlacement> place_clip(const ClipPlacementRequest& request, std::vector<std::string>* why) {
  std::map<int, std::optional<GraphDtype>> kinds;  // all lanes of a class compute in the same
  for (const LaneFit& lane : request.lanes) kinds.try_emplace(lane.kind, dtype_of(request, lane));
  std::int64_t least = 0;
  for (const TileOffer& offer : request.offers) {
    if (least == 0 || offer.computed_pixels < least) least = offer.computed_pixels;
  }
  const double mean = mean_speed(request.lanes);
  std::optional<ClipPlacement> best;
  for (const auto& [kind, dtype] : kinds) {
    for (std::size_t offer = 0; offer < request.offers.size(); ++offer) {
      if (dtype != request.offers[offer].dtype) continue;
      ClipPlacement candidate = weigh(request, kind, offer, mean, static_cast<double>(std::max<std::int64_t>(least, 1)));
      if (candidate.lanes.empty()) continue;
      if (!best || candidate.frames_per_second > best->frames_per_second) best = std::move(candidate);
    }
  }
  if (!best) {
    if (why != nullptr) explain_nothing(request, *why);
    return std::nullopt;
  }
  const LaneFit& first = request.lanes[best->lanes.front()];
  best->reason = fmt::format("{} of {} lanes, {:.0f} MiB {}each", best->lanes.size(), request.lanes.size(),
                             static_cast<double>(needed_bytes(request, first, best->offer)) / kMiB, first.on_card ? "" : "of activations ");
  for (const std::string& host : best->held_back) best->reason += "; " + host;
  return best;
}

}  // namespace kiln::sharding
