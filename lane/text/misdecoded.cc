#include "lane/text/misdecoded.h"

#include <algorithm>

#include "lane/text/prompt_tables.h"

namespace kiln::lane {
namespace {

const MarkSet& marks_of(char32_t one) {
  const auto all = spans();
  const auto next = std::upper_bound(all.begin(), all.end(), one, [](char32_t c, const MarkedSpan& span) { return c < span.first; });
  return std::prev(next)->marks;
}

// A mark stays set where its character stands behind one of the mark before it, or begins a sequence. Whether it has come to
// an end.
bool advance(MarkSet& reached, const MarkSet& here) {
  bool ended = false;
  std::uint64_t carried = 0;
  for (std::size_t word = 0; word < reached.size(); ++word) {
    const std::uint64_t moved = reached[word] << 1U | carried;
    carried = reached[word] >> 63U;
    reached[word] = (moved | kBeginningMarks[word]) & here[word];
    ended = ended || (reached[word] & kEndingMarks[word]) != 0;
  }
  return ended;
}

}  // namespace

std::optional<std::size_t> find_misdecoded(std::u32string_view line) {
  MarkSet reached{};
  advance(reached, marks_of(kTextBegin));
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (advance(reached, marks_of(line[at]))) return at + 1;
  }
  return std::nullopt;
}

}  // namespace kiln::lane
