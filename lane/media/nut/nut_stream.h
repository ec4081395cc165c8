// What travels in a NUT file with one video stream: https://ffmpeg.org/~michael/nut.txt is the format.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "lane/media/rational.h"

namespace kiln::lane {

struct NutStream {
  std::string fourcc;  // 4 bytes for compressed and raw video alike, as ffmpeg writes them
  Rational time_base;
  int width = 0;
  int height = 0;
  int sample_width = 0;  // sample aspect; 0: not said
  int sample_height = 0;
  int decode_delay = 0;  // frames of reordering
  std::vector<std::byte> extradata;
};

struct NutPacket {
  std::int64_t pts = 0;  // ticks of the stream's time base
  bool keyframe = false;
  std::vector<std::byte> bytes;
};

}  // namespace kiln::lane
