#include "lane/media/nut/nut_format.h"

namespace kiln::lane::nut {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i << 24U;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value << 1U) ^ ((value & 0x80000000U) != 0 ? 0x04C11DB7U : 0U);
    }
    table[i] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

}  // namespace

std::uint32_t crc32(std::uint32_t crc, std::byte byte) {
  return (crc << 8U) ^ kTable[(crc >> 24U) ^ std::to_integer<std::uint32_t>(byte)];
}

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) crc = crc32(crc, byte);
  return crc;
}

}  // namespace kiln::lane::nut
