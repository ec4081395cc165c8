// Who becomes what when the ranks of a launch have introduced themselves. Pure: every rank works it out for itself, from
// what all have said, and comes to the same end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::cli {

// A card as a rank sees it: `number` counts those that it may use (CUDA_VISIBLE_DEVICES), `uuid` is the card's everywhere.
struct SeenCard {
  int number = 0;
  std::string uuid;
  bool operator==(const SeenCard&) const = default;
};

// What a rank says of itself. Public things only.
struct Introduction {
  int node = 0;       // the lowest rank on its host
  int node_rank = 0;  // among those of its host
  std::string host;
  std::string public_key;  // Z85, made for this launch; rank 0's is the coordinator's
  std::string cpus;        // hex mask of the processors that it may use
  int cores = 1;           // that it may use, by mask and quota
  std::vector<SeenCard> cards{};  // where the launch asks for them
  std::string no_cards{};         // why it sees none
  bool operator==(const Introduction&) const = default;
};
[[nodiscard]] std::string encode(const Introduction& introduction);
[[nodiscard]] Result<Introduction> decode_introduction(std::string_view text);

struct RankWishes {
  int lanes = 1;             // of each worker
  int threads_per_lane = 0;  // 0: an equal share of the cores of its host
  std::string device = "cpu";  // "cuda": each worker of a host takes the first card that it sees and no other has
  bool rank_0_works = false;   // also where its host has other ranks
};

// What one rank runs.
struct RankRole {
  bool leads = false;  // coordinator, store, and the job's client
  bool works = false;
  std::string worker;  // its name: host and rank, so that no two are alike
  std::string folder;  // of its state, below the scratch folder: host and place on it, the same in every launch
  std::string device;  // empty: no card is left for it
  int threads_per_lane = 0;
};

// Rank 0 leads, all others work. Rank 0 works too where its host has no other rank, or where that is wished for.
[[nodiscard]] std::vector<RankRole> plan_ranks(const std::vector<Introduction>& ranks, const RankWishes& wishes);
// Every worker has its device. A rank beyond the cards of its host is refused: on the CPU it would take cores from the
// others' decoding and encoding, and frames of a clip that a card renders are none that it may render.
[[nodiscard]] Status check_devices(const std::vector<Introduction>& ranks, const std::vector<RankRole>& roles);
[[nodiscard]] bool on_one_host(const std::vector<Introduction>& ranks);

}  // namespace kiln::cli
