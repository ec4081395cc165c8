// The sample table of an MP4 or MOV file's video track: read from encoded segments, written for the join.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {

struct MovSample {
  std::uint64_t offset = 0;  // in the file
  std::uint32_t size = 0;
  std::int64_t dts = 0;  // ticks of the track
  std::int64_t pts = 0;
  bool sync = false;
};

struct MovTrack {
  std::uint32_t timescale = 0;
  std::vector<std::byte> sample_description;  // the stsd box: codec, its parameter sets, colour, aspect
  std::vector<MovSample> samples;             // decode order
};

// The first video track of a finished file. Times are the track's own, edit lists are not applied.
[[nodiscard]] Result<MovTrack> read_mov_track(int fd);
// The same from the payload of a moov box; takes any bytes.
[[nodiscard]] Result<MovTrack> parse_moov(std::span<const std::byte> moov, std::uint64_t file_bytes);

struct MovPicture {
  int width = 0;
  int height = 0;
  std::optional<DisplayMatrix> display_matrix;
};

// Everything that precedes the samples' bytes in a file whose samples follow in order, so that it can
// go down a pipe: ftyp, moov, the head of mdat. dts start at 0, rise, and are at most their pts.
[[nodiscard]] Result<std::vector<std::byte>> mov_head(const MovTrack& track, const MovPicture& picture,
                                                      std::int64_t last_duration);

}  // namespace kiln::lane
