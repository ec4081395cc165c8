// Clips that are generated: what the farm, workers and lanes say of them. Plain data.
#pragma once

#include <cstdint>
#include <string>

namespace kiln::net {

// A clip that is made of words, by a text-to-video model.
struct Shot {
  std::string prompt;  // several lines; may be empty
  std::string negative_prompt;
  int width = 0;  // pixels
  int height = 0;
  std::int64_t frames = 0;  // 0: it is no shot
  int steps = 0;
  double guidance = 0.0;            // 1 or less: without
  double low_noise_guidance = 0.0;  // of the second of two experts; 0: the same
  double shift = 0.0;               // of the schedule of noise; 0: the model's
  std::string solver;               // unipc, euler; empty: the model's
  std::uint64_t seed = 0;
  bool operator==(const Shot&) const = default;
};

// How far a lane is with a shot.
struct StageProgress {
  std::string stage;  // text, steps, decode; empty: it has not said
  std::int64_t done = 0;  // steps, or latent frames
  std::int64_t total = 0;
  double each_s = 0.0;  // that the last of them took
  bool operator==(const StageProgress&) const = default;
};

}  // namespace kiln::net
