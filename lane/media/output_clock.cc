#include "lane/media/output_clock.h"

#include <algorithm>

namespace kiln::lane {

std::int64_t output_timescale(Rational time_base) {
  constexpr std::int64_t kMaxTimescale = 1'000'000;
  constexpr std::int64_t kMinTimescale = 10'000;  // as other tools write: players expect fine ticks
  const std::int64_t exact = reduced(time_base).den;
  if (exact <= 0 || exact > kMaxTimescale) return kMaxTimescale;
  std::int64_t timescale = exact;
  while (timescale < kMinTimescale) timescale *= 2;
  return timescale;
}

std::vector<std::int64_t> decode_times(const std::vector<std::int64_t>& pts, bool none_earlier) {
  std::vector<std::int64_t> sorted = pts;
  std::sort(sorted.begin(), sorted.end());
  // How far any frame is decoded after its place in the order of presentation.
  std::size_t delay = 0;
  for (std::size_t i = 0; i < pts.size(); ++i) {
    const auto rank = static_cast<std::size_t>(
        std::lower_bound(sorted.begin(), sorted.end(), pts[i]) - sorted.begin());
    if (i > rank) delay = std::max(delay, i - rank);
  }
  const std::int64_t gap = sorted.size() > 1 ? std::max<std::int64_t>(1, sorted[1] - sorted[0]) : 1;
  // There is room for one tick each when the second frame shown is far enough away; else nothing is squeezed.
  const bool squeeze = none_earlier && gap > static_cast<std::int64_t>(delay);
  std::vector<std::int64_t> dts(pts.size());
  for (std::size_t i = 0; i < dts.size(); ++i) {
    if (squeeze && i <= delay) {
      dts[i] = sorted[0] + static_cast<std::int64_t>(i);
      continue;
    }
    dts[i] = i >= delay ? sorted[i - delay] : sorted[0] - static_cast<std::int64_t>(delay - i) * gap;
  }
  return dts;
}

}  // namespace kiln::lane
