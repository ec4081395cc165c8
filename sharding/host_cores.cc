#include "sharding/host_cores.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kiln::sharding {
namespace {

// Of a host's cores: when its lanes take that much, it is their lack that makes decoders and encoders slow.
constexpr double kFullPart = 0.9;
// Speeds are measured anew with each segment: what is less than this below what lanes want is no news.
constexpr double kHeldBackPart = 0.9;

bool is_full(int cores, const std::vector<LaneLoad>& lanes) {
  double taken = 0.0;
  for (const LaneLoad& lane : lanes) taken += lane.frames_per_second * lane.core_seconds();
  return cores > 0 && taken >= kFullPart * cores;
}

}  // namespace

CoreShares share_cores(int cores, const std::vector<CoreDemand>& lanes) {
  CoreShares out;
  std::vector<std::size_t> held;  // lanes of which it is known what they take, those that take least first
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    out.frames_per_second.push_back(lanes[i].frames_per_second);
    if (lanes[i].core_seconds_per_frame > 0.0) held.push_back(i);
  }
  if (cores <= 0) return out;
  const auto wants = [&](std::size_t i) { return lanes[i].frames_per_second * lanes[i].core_seconds_per_frame; };
  std::stable_sort(held.begin(), held.end(), [&](std::size_t a, std::size_t b) { return wants(a) < wants(b); });
  double left = cores;
  for (std::size_t k = 0; k < held.size(); ++k) {
    const std::size_t i = held[k];
    const double share = left / static_cast<double>(held.size() - k);
    if (wants(i) > share) {
      out.enough = false;
      out.frames_per_second[i] = share / lanes[i].core_seconds_per_frame;
    }
    left -= std::min(wants(i), share);
  }
  return out;
}

bool HostLoad::holds_back() const { return reached < kHeldBackPart * wanted; }

HostLoad load_host(int cores, const std::vector<LaneLoad>& lanes) {
  const bool full = is_full(cores, lanes);
  std::vector<CoreDemand> demands;
  for (const LaneLoad& lane : lanes) {
    const bool by_model = full && lane.core_seconds() > 0.0 && lane.frames_per_second > 0.0;
    const double speed = by_model ? std::max(lane.frames_per_second, lane.model_frames_per_second) : lane.frames_per_second;
    demands.push_back({speed, lane.core_seconds()});
  }
  HostLoad out;
  out.frames_per_second = share_cores(cores, demands).frames_per_second;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const double speed = out.frames_per_second[i];
    if (lanes[i].beside) {
      out.beside_cores += speed * lanes[i].core_seconds();
      continue;
    }
    out.wanted += demands[i].frames_per_second;
    out.reached += speed;
    out.decode_cores += speed * lanes[i].decode_core_seconds;
    out.model_cores += speed * lanes[i].model_core_seconds;
    out.encode_cores += speed * lanes[i].encode_core_seconds;
  }
  return out;
}

std::string largest_share_text(int cores, const HostLoad& load) {
  std::pair<double, const char*> most{load.encode_cores, "encoders"};
  if (load.decode_cores > most.first) most = {load.decode_cores, "decoders"};
  if (load.model_cores > most.first) most = {load.model_cores, "networks"};
  if (load.beside_cores > most.first) most = {load.beside_cores, "other clips"};
  return most.first > 0.0 ? fmt::format("{:.1f} of {} host cores go to {}", most.first, cores, most.second) : std::string();
}

}  // namespace kiln::sharding
