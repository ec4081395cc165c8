// A worker that does nothing but have lanes load weights: the true decisions (worker/core), the true messages, real processes.
// The lanes are tests/lane/share/share_member.cc.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "worker/core/weight_groups.h"
#include "worker/lane_process.h"

namespace kiln::lane {

struct MemberOptions {
  std::string nccl;         // library; empty: as lanes find it
  std::string card_uuid;    // empty: plain memory in place of a card
  std::size_t chunk_bytes = std::size_t{16} << 20U;
  int patience_ms = 5'000;
  int root_patience_ms = 3'000;
  bool hashes = true;
  // In the middle of a broadcast, after so many chunks; 0: never.
  int killed_after = 0;
  int stopped_after = 0;
};

struct MemberLoad {
  std::uint64_t copied_bytes = 0;
  std::uint64_t received_bytes = 0;
  double begin_s = 0.0;  // of the system's steady clock
  double end_s = 0.0;
  std::uint64_t device_bytes = 0;  // of the card that more were in use after the group was set up; 0: not known
  std::string hash;                // of what is on the card
};

class ShareRig {
 public:
  // `weights`: sealed.
  ShareRig(std::string program, UniqueFd weights) : program_(std::move(program)), weights_(std::move(weights)) {}

  [[nodiscard]] Result<LaneId> start(const MemberOptions& options);
  void gather(const std::vector<LaneId>& lanes) { say(groups_.gather(kWeights, lanes)); }
  // True: with a group.
  bool load(LaneId lane);
  // As the root of a group that has nobody else: all of the library but another card.
  void load_in_group_of_one(LaneId lane) { send_load(lane, kGroupOfOne); }
  void open_group_of_one(LaneId lane) { (void)lanes_.at(lane).send(net::OpenShare{kGroupOfOne, 0, 1}); }
  // Hears members until then; false: not within `deadline`.
  bool run_until(const std::function<bool()>& condition, std::chrono::milliseconds deadline);
  bool all_up(std::chrono::milliseconds deadline) {
    return run_until([this] { return up.size() + gone.size() >= lanes_.size(); }, deadline);
  }
  bool all_end(std::chrono::milliseconds deadline) {
    return run_until([this] { return loads.size() + gone.size() >= lanes_.size(); }, deadline);
  }
  void kill(LaneId lane) { lanes_.at(lane).kill(); }
  [[nodiscard]] pid_t pid(LaneId lane) const { return lanes_.at(lane).pid(); }
  [[nodiscard]] const worker::WeightGroups& groups() const { return groups_; }

  std::set<LaneId> up;  // members that said hello: their card is open
  std::map<LaneId, MemberLoad> loads;
  std::map<LaneId, double> gone;             // when
  std::map<LaneId, std::string> said_ended;  // why a member left its group

 private:
  static constexpr const char* kWeights = "weights/float16";
  static constexpr std::uint64_t kGroupOfOne = 1'000'000;
  void say(const worker::GroupWords& words);
  void send_load(LaneId lane, std::uint64_t share);
  void hear(LaneId lane);

  const std::string program_;
  const UniqueFd weights_;
  std::map<LaneId, MemberOptions> options_;
  std::map<LaneId, worker::LaneProcess> lanes_;
  worker::WeightGroups groups_;
};

[[nodiscard]] double steady_seconds();
// The same bytes for the same size, everywhere.
[[nodiscard]] Result<UniqueFd> random_weights(std::uint64_t bytes);

}  // namespace kiln::lane
