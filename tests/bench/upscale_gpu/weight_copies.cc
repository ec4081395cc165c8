// Random weights out of a host's memory to its cards: to one, to all side by side, and to one and from there to the others.
// Members are share_member processes, this is their worker. One JSON line for every round; tests/bench/upscale_gpu/weights.py
// starts it.
//
//   weight_copies MEMBER BYTES CARDS NCCL ROUNDS MODE...    CARDS: UUIDs, or "host" for plain memory; commas between
#include <fmt/core.h>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/lane/share/share_rig.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::seconds kPatience{120};
constexpr std::chrono::milliseconds kConnects{3'000};
constexpr int kChunksBeforeDeath = 12;

struct Bench {
  std::string member;
  int weights = -1;
  std::vector<std::string> cards;
  std::string nccl;
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ',') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

struct Mode {
  std::string_view name;
  bool all_cards = true;
  bool shares = true;
  bool connects_first = true;  // as in a farm that starts cold: the package is still on its way to the host
  bool is_alone = false;       // a group of one: all of the library but another card
  int dies = -1;               // which member is killed with -9 in mid-broadcast
};
constexpr Mode kModes[] = {{"one", false, false, false, false, -1},    {"group-of-one", false, false, true, true, -1},
                           {"separate", true, false, false, false, -1}, {"broadcast", true, true, true, false, -1},
                           {"broadcast-at-once", true, true, false, false, -1}, {"kill-root", true, true, true, false, 0},
                           {"kill-receiver", true, true, true, false, 1}};

std::string describe(const ShareRig& rig, LaneId lane) {
  if (const auto gone = rig.gone.find(lane); gone != rig.gone.end() && !rig.loads.contains(lane)) return R"({"killed":true})";
  if (!rig.loads.contains(lane)) return R"({"finished":false})";
  const MemberLoad& load = rig.loads.at(lane);
  return fmt::format(R"({{"seconds":{:.4f},"copied_bytes":{},"received_bytes":{},"group_device_bytes":{},"hash":"{}"}})",
                     load.end_s - load.begin_s, load.copied_bytes, load.received_bytes, load.device_bytes, load.hash);
}

std::string round(const Bench& bench, const Mode& mode, bool hashes) {
  ShareRig rig(bench.member, UniqueFd(::dup(bench.weights)));
  std::vector<LaneId> lanes;
  for (std::size_t i = 0; i < (mode.all_cards ? bench.cards.size() : 1); ++i) {
    MemberOptions options;
    options.nccl = bench.nccl;
    options.card_uuid = bench.cards[i] == "host" ? "" : bench.cards[i];
    options.hashes = hashes;
    if (mode.dies == static_cast<int>(i)) options.killed_after = kChunksBeforeDeath;
    const auto lane = rig.start(options);
    if (!lane) return fmt::format(R"({{"mode":"{}","error":"{}"}})", mode.name, lane.error().message);
    lanes.push_back(*lane);
  }
  if (!rig.all_up(kPatience)) return fmt::format(R"({{"mode":"{}","error":"a member does not come up"}})", mode.name);
  if (mode.shares) rig.gather(lanes);
  if (mode.is_alone) rig.open_group_of_one(lanes[0]);
  if (mode.connects_first) rig.run_until([] { return false; }, kConnects);
  for (const LaneId lane : lanes) {
    if (mode.is_alone) {
      rig.load_in_group_of_one(lane);
    } else {
      (void)rig.load(lane);
    }
  }
  const bool ended = rig.all_end(kPatience);
  double begin = 1e300;
  double end = 0.0;
  std::vector<std::string> members;
  std::string why;
  for (const LaneId lane : lanes) {
    if (rig.loads.contains(lane)) {
      begin = std::min(begin, rig.loads.at(lane).begin_s);
      end = std::max(end, rig.loads.at(lane).end_s);
    }
    members.push_back(describe(rig, lane));
    if (rig.said_ended.contains(lane)) why = rig.said_ended.at(lane);
  }
  const double died = rig.gone.empty() ? 0.0 : rig.gone.begin()->second;
  return fmt::format(R"({{"mode":"{}","ended":{},"seconds":{:.4f},"others_whole_after_death_s":{},"why":"{}","members":[{}]}})", mode.name,
                     ended, end - begin, mode.dies >= 0 && died > 0 ? fmt::format("{:.4f}", end - died) : "null", why, fmt::join(members, ","));
}

int run(int argc, char** argv) {
  if (argc < 7) return 2;
  auto weights = random_weights(std::strtoull(argv[2], nullptr, 10));
  if (!weights) {
    fmt::print(stderr, "{}\n", weights.error().message);
    return 1;
  }
  const Bench bench{argv[1], weights->get(), split(argv[3]), std::string_view(argv[4]) == "-" ? "" : argv[4]};
  const int rounds = std::atoi(argv[5]);
  for (int i = 0; i < rounds; ++i) {
    for (int word = 6; word < argc; ++word) {
      const auto* mode = std::find_if(std::begin(kModes), std::end(kModes), [&](const Mode& one) { return one.name == argv[word]; });
      if (mode == std::end(kModes)) return 2;
      fmt::print("{}\n", round(bench, *mode, i == 0));
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace kiln::lane

int main(int argc, char** argv) { return kiln::lane::run(argc, argv); }
