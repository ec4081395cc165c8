#include "worker/core/weight_groups.h"

#include <fmt/core.h>

#include <algorithm>

namespace kiln::worker {

WeightGroups::Group* WeightGroups::find(LaneId lane, std::uint64_t epoch) {
  const auto of = groups_of_.find(lane);
  if (of != groups_of_.end() && of->second == epoch) return &groups_.at(epoch);
  ++counters_.late_messages;
  return nullptr;
}

GroupWords WeightGroups::gather(const std::string& weights, const std::vector<LaneId>& lanes) {
  GroupWords words;
  std::vector<LaneId> fresh;
  for (const LaneId lane : lanes) {
    const auto of = groups_of_.find(lane);
    if (of == groups_of_.end() || groups_.at(of->second).weights != weights) fresh.push_back(lane);
  }
  if (fresh.size() < 2) return words;
  for (const LaneId lane : fresh) {
    const GroupWords left = on_lost(lane, fmt::format("lane {} loads another package", lane.value));
    words.insert(words.end(), left.begin(), left.end());
  }
  const std::uint64_t epoch = ++last_epoch_;
  ++counters_.opened;
  for (std::size_t rank = 0; rank < fresh.size(); ++rank) {
    groups_of_[fresh[rank]] = epoch;
    words.push_back({fresh[rank], net::OpenShare{epoch, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(fresh.size())}});
  }
  groups_[epoch] = Group{weights, std::move(fresh), {}, false};
  return words;
}

WeightGroups::Load WeightGroups::load(const std::string& weights, LaneId lane) {
  const auto of = groups_of_.find(lane);
  if (of == groups_of_.end()) return {};
  const Group& group = groups_.at(of->second);
  if (group.weights == weights && !group.complete.contains(lane)) return {of->second, {}};
  return {0, on_lost(lane, fmt::format("lane {} loads another package", lane.value))};
}

GroupWords WeightGroups::on_opened(LaneId lane, const net::ShareOpened& opened) {
  Group* group = find(lane, opened.epoch);
  if (group == nullptr || group->opened || group->lanes.front() != lane) return {};
  group->opened = true;
  GroupWords words;
  for (const LaneId other : group->lanes) {
    if (other != lane) words.push_back({other, net::ShareId{opened.epoch, opened.id}});
  }
  return words;
}

GroupWords WeightGroups::on_ended(LaneId lane, const net::ShareEnded& ended) {
  Group* group = find(lane, ended.epoch);
  if (group == nullptr) return {};
  if (!ended.why.empty()) return end(ended.epoch, fmt::format("lane {}: {}", lane.value, ended.why), lane);
  group->complete.insert(lane);
  if (group->complete.size() < group->lanes.size()) return {};
  return end(ended.epoch, "");
}

GroupWords WeightGroups::on_lost(LaneId lane, const std::string& why) {
  const auto of = groups_of_.find(lane);
  if (of == groups_of_.end()) return {};
  return end(of->second, why, lane);
}

GroupWords WeightGroups::end(std::uint64_t epoch, const std::string& why, std::optional<LaneId> but) {
  GroupWords words;
  for (const LaneId lane : groups_.at(epoch).lanes) {
    groups_of_.erase(lane);
    if (lane != but) words.push_back({lane, net::ShareOver{epoch, why}});
  }
  groups_.erase(epoch);
  ++(why.empty() ? counters_.completed : counters_.given_up);
  return words;
}

}  // namespace kiln::worker
