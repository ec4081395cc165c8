// Tables of characters that the build makes: make_prompt_tables.py, from Python's html.entities and from ftfy.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace kiln::lane {

// A character reference: "amp;", or "amp" where HTML reads it without its semicolon.
struct Entity {
  std::string_view name;
  std::u32string_view text;
  bool standard;  // else one of ftfy's own, in capitals
};
[[nodiscard]] std::span<const Entity> entities();  // by name

struct Replacement {
  char32_t from;
  std::u32string_view to;
};
// Ligatures, full and half width, curly quotes. By `from`.
[[nodiscard]] std::span<const Replacement> replacements();

// ftfy's regular expression for badly decoded text has no loops: it is a number of sequences of character sets. Each set in
// each sequence is a mark; the marks of one sequence follow each other.
using MarkSet = std::array<std::uint64_t, 2>;
inline constexpr char32_t kTextBegin = 0x110000;  // stands before a text's first character, for sequences that begin there
// From `first` to the next span's: marks of the sets that these characters are in.
struct MarkedSpan {
  char32_t first;
  MarkSet marks;
};
[[nodiscard]] std::span<const MarkedSpan> spans();  // by `first`, from 0
extern const MarkSet kBeginningMarks;                // of each sequence the first
extern const MarkSet kEndingMarks;                   // of each sequence the last

}  // namespace kiln::lane
