// What comes out of a clip: its size, the shape bucket that is compiled, threads for each lane.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sharding/tile_planner.h"

namespace kiln::sharding {

// A scale as it was written, without rounding: "1.5" is 3/2.
struct ScaleRatio {
  std::int64_t numerator = 1;
  std::int64_t denominator = 1;  // > 0; the fraction is reduced
  bool operator==(const ScaleRatio&) const = default;
};

// A decimal number > 0 with at most four places after the point ("2", "1.5", "2.25").
[[nodiscard]] Result<ScaleRatio> parse_scale(std::string_view text);
[[nodiscard]] std::string to_string(ScaleRatio scale);

struct OutputSize {
  int model_width = 0;  // what the model makes
  int model_height = 0;
  int width = 0;  // what is encoded
  int height = 0;
  std::string reason;

  [[nodiscard]] bool is_resampled() const { return width != model_width || height != model_height; }
};

// Each side is source * scale, rounded to the nearest integer, halves up, at least 1. A scale above
// the model's is refused: Kiln does not blow up what the model made. Whether a codec can hold the
// size (even sides) is checked where codecs are known.
[[nodiscard]] Result<OutputSize> plan_output_size(int source_width, int source_height,
                                                  int model_scale, ScaleRatio scale);

// Operators of small convolutions stop gaining beyond this.
inline constexpr int kThreadsPerLaneMax = 32;

struct LaneThreads {
  int threads = 1;
  std::string reason;
};

// An equal share of the cores, at least one. `requested` > 0 is taken as it is (up to
// kThreadsPerLaneMax). The result belongs into the plan of the clip: the bits of a frame may depend
// on it.
[[nodiscard]] LaneThreads plan_lane_threads(int core_count, int lane_count, int requested = 0);

// What activations of one lane may take where tile shapes are chosen. Half of the machine's memory, an equal
// share for each core: neither the number of lanes nor what is free at the moment may change a frame's bits.
// `requested_mib` > 0 is taken as it is.
[[nodiscard]] std::uint64_t plan_activation_bytes(std::uint64_t memory_bytes, int core_count,
                                                  int requested_mib = 0);

}  // namespace kiln::sharding
