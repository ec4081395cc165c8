#include "lane/media/sample_entry.h"

#include <cstdint>
#include <string_view>

namespace kiln::lane {
namespace {

using Bytes = std::vector<std::byte>;
using Span = std::span<const std::byte>;

constexpr std::size_t kStsdHead = 16;   // size, type, version and flags, count
constexpr std::size_t kEntryHead = 86;  // size, type, and the fixed fields of a visual sample entry

std::uint32_t number(Span bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) value = (value << 8U) | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

void put_number(Bytes& out, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<std::byte>((value >> (8 * (3 - i))) & 0xFFU);
}

bool is_type(Span box, std::string_view type) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (std::to_integer<char>(box[4 + i]) != type[i]) return false;
  }
  return true;
}

void put_color(Bytes& out, const ColorDescription& color) {
  const auto put = [&](std::initializer_list<int> values) {
    for (const int value : values) out.push_back(static_cast<std::byte>(value));
  };
  put({0, 0, 0, 19, 'c', 'o', 'l', 'r', 'n', 'c', 'l', 'x'});
  put({0, static_cast<int>(color.primaries), 0, static_cast<int>(color.transfer), 0,
       static_cast<int>(color.matrix), color.range == ColorRange::kFull ? 0x80 : 0});
}

// Of the stsd box and of its entry, which ends with it.
void put_sizes(Bytes& stsd) {
  put_number(stsd, 0, stsd.size());
  put_number(stsd, kStsdHead, stsd.size() - kStsdHead);
}

}  // namespace

Result<Bytes> normalised_description(Span stsd, const ColorDescription& color) {
  if (stsd.size() < kStsdHead + kEntryHead || number(stsd, 12) != 1) {
    return fail(make_error(ErrorCode::kDataLoss, "the segment's codec description is damaged"));
  }
  Bytes out(stsd.begin(), stsd.begin() + kStsdHead + kEntryHead);
  Span rest = stsd.subspan(kStsdHead + kEntryHead);
  while (rest.size() >= 8) {
    const std::uint32_t size = number(rest, 0);
    if (size < 8 || size > rest.size()) break;
    const bool ours = is_type(rest, "btrt") || is_type(rest, "colr") || is_type(rest, "mdcv") || is_type(rest, "clli");
    if (!ours) out.insert(out.end(), rest.begin(), rest.begin() + size);
    rest = rest.subspan(size);
  }
  const bool told = color.range != ColorRange::kUnspecified || color.matrix != ColorMatrix::kUnspecified ||
                    color.transfer != ColorTransfer::kUnspecified ||
                    color.primaries != ColorPrimaries::kUnspecified;
  if (told) put_color(out, color);
  put_sizes(out);
  return out;
}

Bytes with_boxes(Bytes stsd, Span boxes) {
  stsd.insert(stsd.end(), boxes.begin(), boxes.end());
  put_sizes(stsd);
  return stsd;
}

}  // namespace kiln::lane
