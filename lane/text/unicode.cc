#include "lane/text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

namespace kiln::lane {
namespace {

constexpr char32_t kFirstThatMayChange = 0x300;  // all below are composed, and no marks
constexpr std::size_t kDecomposedMax = 16;       // four are the most of any character

bool is_surrogate(char32_t one) { return one >= 0xD800 && one <= 0xDFFF; }

int combining_class(utf8proc_int32_t one) { return utf8proc_get_property(one)->combining_class; }

// Of bytes that are no character of UTF-8: the surrogate that they encode, or 0.
char32_t encoded_surrogate(std::string_view bytes) {
  if (bytes.size() < 3) return 0;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (at(0) != 0xED || at(1) < 0xA0 || at(1) > 0xBF || at(2) < 0x80 || at(2) > 0xBF) return 0;
  return 0xD000U | (at(1) & 0x3FU) << 6U | (at(2) & 0x3FU);
}

std::vector<utf8proc_int32_t> decomposed(std::u32string_view text) {
  std::vector<utf8proc_int32_t> parts;
  parts.reserve(text.size());
  std::array<utf8proc_int32_t, kDecomposedMax> of_one{};
  for (const char32_t one : text) {
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(one), of_one.data(), kDecomposedMax,
                                               static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    parts.insert(parts.end(), of_one.begin(), of_one.begin() + std::max<utf8proc_ssize_t>(count, 0));
  }
  return parts;
}

// utf8proc's own ordering takes the square of the marks in a row.
void order_marks(std::vector<utf8proc_int32_t>& parts) {
  for (auto begin = parts.begin(); begin != parts.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, parts.end(), [](utf8proc_int32_t one) { return combining_class(one) == 0; });
    std::stable_sort(begin, end,
                     [](utf8proc_int32_t a, utf8proc_int32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

}  // namespace

Result<std::u32string> from_utf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (std::size_t at = 0; at < bytes.size();) {
    utf8proc_int32_t one = 0;
    const auto* here = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data() + at);
    const auto used = utf8proc_iterate(here, static_cast<utf8proc_ssize_t>(bytes.size() - at), &one);
    const char32_t surrogate = used > 0 ? 0 : encoded_surrogate(bytes.substr(at));
    if (used <= 0 && surrogate == 0) return fail(input_refused("no UTF-8 at byte {}", at));
    text.push_back(surrogate != 0 ? surrogate : static_cast<char32_t>(one));
    at += surrogate != 0 ? 3 : static_cast<std::size_t>(used);
  }
  return text;
}

std::string to_utf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (const char32_t one : text) {
    std::array<utf8proc_uint8_t, 4> of_one{};
    const auto used = utf8proc_encode_char(static_cast<utf8proc_int32_t>(is_surrogate(one) ? 0xFFFD : one), of_one.data());
    bytes.append(reinterpret_cast<const char*>(of_one.data()), static_cast<std::size_t>(used));
  }
  return bytes;
}

bool is_white_space(char32_t one) {
  return (one >= 0x09 && one <= 0x0D) || (one >= 0x1C && one <= 0x20) || one == 0x85 || one == 0xA0 || one == 0x1680 ||
         (one >= 0x2000 && one <= 0x200A) || one == 0x2028 || one == 0x2029 || one == 0x202F || one == 0x205F || one == 0x3000;
}

bool is_decimal_digit(char32_t one) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(one)) == UTF8PROC_CATEGORY_ND;
}

std::u32string composed(std::u32string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char32_t one) { return one < kFirstThatMayChange; })) return std::u32string(text);
  std::vector<utf8proc_int32_t> parts = decomposed(text);
  order_marks(parts);
  const auto count = utf8proc_normalize_utf32(parts.data(), static_cast<utf8proc_ssize_t>(parts.size()),
                                              static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  return {parts.begin(), parts.begin() + std::max<utf8proc_ssize_t>(count, 0)};
}

}  // namespace kiln::lane
