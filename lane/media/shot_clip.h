// The description of a clip that is generated: there is nothing to look at, and everything is known.
#pragma once

#include <cstdint>
#include <string>

#include "lane/media/clip_info.h"

namespace kiln::lane {

inline constexpr Rational kShotRateUsual{16, 1};  // what Wan was trained on
inline constexpr std::int64_t kShotClipFramesMax = 1 << 20;

struct ShotClip {
  std::string name;  // for messages
  int width = 0;
  int height = 0;
  std::int64_t frames = 0;
  Rational rate = kShotRateUsual;
};

// BT.709 in the limited range, 4:2:0, which every player takes, unless the output says another format.
[[nodiscard]] Result<ClipInfo> describe_shot(const ShotClip& shot);

}  // namespace kiln::lane
