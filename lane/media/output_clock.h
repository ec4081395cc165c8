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
// The first `delay` of them lie before the first frame is shown; with `none_earlier` they are squeezed in behind
// it instead (for containers without times below zero).
[[nodiscard]] std::vector<std::int64_t> decode_times(const std::vector<std::int64_t>& pts, bool none_earlier = false);

}  // namespace kiln::lane
