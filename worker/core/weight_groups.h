// Which lanes of this host load a package's weights together: one reads the host's copy, the others receive what it broadcasts.
// No input or output: what lanes did comes in, what they are to be told comes out.
//
// A group is known by its epoch, which only rises. It begins with two lanes or more and never grows: who comes later reads the
// host's copy. It is over for all when all have their weights, or as soon as one of them is gone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "net/lane_messages.h"

namespace kiln::worker {

struct GroupWord {
  LaneId lane;
  std::variant<net::OpenShare, net::ShareId, net::ShareOver> body;
  bool operator==(const GroupWord&) const = default;
};
using GroupWords = std::vector<GroupWord>;

// All only rise.
struct GroupCounters {
  std::uint64_t opened = 0;
  std::uint64_t completed = 0;
  std::uint64_t given_up = 0;
  std::uint64_t late_messages = 0;  // of groups that are over
};

class WeightGroups {
 public:
  // These lanes are about to load `weights`; those that are in a group for them already stay in it. The first of the others
  // becomes the root of a new group if there are two or more.
  [[nodiscard]] GroupWords gather(const std::string& weights, const std::vector<LaneId>& lanes);
  // The epoch with which the lane is to load them now; 0: alone. A lane that loads something else leaves its group.
  struct Load {
    std::uint64_t epoch = 0;
    GroupWords words;
  };
  [[nodiscard]] Load load(const std::string& weights, LaneId lane);

  [[nodiscard]] GroupWords on_opened(LaneId lane, const net::ShareOpened& opened);
  [[nodiscard]] GroupWords on_ended(LaneId lane, const net::ShareEnded& ended);
  // It died, or its package was refused.
  [[nodiscard]] GroupWords on_lost(LaneId lane, const std::string& why);

  [[nodiscard]] bool has(LaneId lane) const { return groups_of_.contains(lane); }
  [[nodiscard]] const GroupCounters& counters() const { return counters_; }

 private:
  struct Group {
    std::string weights;
    std::vector<LaneId> lanes;  // by rank
    std::set<LaneId> complete;
    bool opened = false;
  };
  [[nodiscard]] Group* find(LaneId lane, std::uint64_t epoch);
  [[nodiscard]] GroupWords end(std::uint64_t epoch, const std::string& why, std::optional<LaneId> but = std::nullopt);

  std::uint64_t last_epoch_ = 0;
  std::map<std::uint64_t, Group> groups_;
  std::map<LaneId, std::uint64_t> groups_of_;
  GroupCounters counters_;
};

}  // namespace kiln::worker
