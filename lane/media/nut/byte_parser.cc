#include "lane/media/nut/byte_parser.h"

namespace kiln::lane::nut {
namespace {

constexpr std::uint64_t kNumberMaxBeforeShift = (1ULL << 56U) - 1;  // 63 bits after the next 7

}  // namespace

std::int64_t signed_from_number(std::uint64_t number) {
  const std::uint64_t next = number + 1;
  const auto magnitude = static_cast<std::int64_t>(next >> 1U);
  return (next & 1U) != 0 ? -magnitude : magnitude;
}

std::uint8_t ByteParser::byte() {
  if (!ok_ || at_ >= bytes_.size()) {
    ok_ = false;
    return 0;
  }
  return std::to_integer<std::uint8_t>(bytes_[at_++]);
}

std::uint64_t ByteParser::number() {
  std::uint64_t value = 0;
  while (ok_) {
    const std::uint8_t next = byte();
    if (value > kNumberMaxBeforeShift) ok_ = false;
    value = (value << 7U) | (next & 0x7FU);
    if ((next & 0x80U) == 0) break;
  }
  return ok_ ? value : 0;
}

std::int64_t ByteParser::signed_number() { return ok_ ? signed_from_number(number()) : 0; }

std::span<const std::byte> ByteParser::counted_bytes(std::size_t max) {
  const std::uint64_t count = number();
  if (count > max || count > left()) ok_ = false;
  if (!ok_) return {};
  const auto result = bytes_.subspan(at_, count);
  at_ += count;
  return result;
}

}  // namespace kiln::lane::nut
