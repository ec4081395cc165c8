// Which class of lanes renders a clip, and with what tiles. Pure. Frames of one clip are bit-equal only within one class
// and one tile shape, so both are chosen once; the choice that gets most frames a second out of the farm wins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sharding/package/package_manifest.h"

namespace kiln::sharding {

// A lane as far as the choice goes.
struct LaneFit {
  std::string name;   // for reasons: "host-a lane 0"
  int kind = 0;       // its class, numbered by the caller
  std::uint64_t budget_bytes = 0;  // for activations; on a card for weights and buffers too
  double frames_per_second = 0.0;  // of this network, untiled or nearly; 0: not known, counts as the others' mean
  // What it may compute this clip in, best first (sharding/precision.h).
  std::vector<GraphDtype> dtypes = {GraphDtype::kFloat32};
  int host = -1;                      // index into the request's hosts; -1: its cores are not known
  double media_core_seconds = 0.0;    // that decoding and encoding one frame takes of the host's cores; 0: not known
  double model_core_seconds = 0.0;    // that the network takes of them for one frame, untiled or nearly; little on a card
  double encode_core_seconds = 0.0;   // of media_core_seconds, what goes to encoding; 0: not told apart
  double model_frames_per_second = 0.0;  // as frames_per_second, had its model never waited; 0: not known
  bool on_card = false;
  double matrix_rate = 0.0;           // of its card, as measured (sharding/speed_guess.h); 0: nobody measured it
};

// The cores that all lanes of one machine share.
struct HostFit {
  std::string name;
  int cores = 0;
};

// A way of tiling, as it was found for some budget.
struct TileOffer {
  std::uint64_t activation_bytes = 0;  // at the peak of a run
  std::int64_t computed_pixels = 0;  // of one frame, halos included: what it costs
  GraphDtype dtype = GraphDtype::kFloat32;  // of the graph: part of what fixes the bits
  std::uint64_t card_bytes = 0;      // what all of it takes on a card; 0: not known, the activations count there too
};

// What an out-of-memory taught: a class needs more than it seemed, for that offer.
struct LearnedNeed {
  int kind = 0;
  std::size_t offer = 0;
  std::uint64_t budget_bytes_min = 0;
};

struct ClipPlacementRequest {
  std::vector<LaneFit> lanes;
  std::vector<TileOffer> offers;
  std::vector<LearnedNeed> learned;
  std::uint64_t budget_bytes_max = 0;  // the job's variant may ask for less than lanes have; 0: it does not
  bool mix_kinds = false;              // the job accepts frames of several classes in one clip
  std::vector<HostFit> hosts{};        // none: cores hold nobody back, as where nobody measures what a frame takes of them
};

struct ClipPlacement {
  int kind = 0;
  std::size_t offer = 0;
  std::vector<std::size_t> lanes;      // indices of those that take part
  std::string reason;
  std::vector<std::string> left_out;   // "host-b lane 1: holds 200 MiB, 340 MiB are needed"
  // "host-a: its 8 cores are enough for 30.0 of the 90.0 frames a second of its lanes: 6.0 of 8 host cores go to encoders"
  std::vector<std::string> held_back;
  double frames_per_second = 0.0;      // of all of them; speeds that are not known count as the others' mean
};

// Nothing: no lane holds any offer; `left_out` of `why` says so for each.
[[nodiscard]] std::optional<ClipPlacement> place_clip(const ClipPlacementRequest& request,
                                                      std::vector<std::string>* why);

// What a lane needs for an offer: the walk over the graph, or what an out-of-memory taught its class.
[[nodiscard]] std::uint64_t needed_bytes(const ClipPlacementRequest& request, const LaneFit& lane, std::size_t offer);

}  // namespace kiln::sharding
