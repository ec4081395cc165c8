// PURE. The times of the joined output: its tick, and in which order decoders get the frames.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "lane/media/rational.h"

namespace kiln::lane {

// Ticks a second of MP4 and MOV tracks (and of segments): exact for the source's time base where that is
// below a million, else a million.
[[nodiscard]] std::int64_t output_timescale(Rational time_base);

// Decode times for frames whose presentation times are given in decode order: rising, none above its own
// presentation time, from the presentation times alone. Works for any reordering and variable rates.
[[nodiscard]] std::vector<std::int64_t> decode_times(const std::vector<std::int64_t>& pts);

// As late as can be: rising, and at most the frame's pts. For NUT, which has no times below zero: the first is
// the first pts where frames are a few ticks apart.
[[nodiscard]] std::vector<std::int64_t> latest_decode_times(const std::vector<std::int64_t>& pts);

}  // namespace kiln::lane
