// What reader and writer of the NUT container share: start codes, flags, checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kiln::lane::nut {

// NUT 3, as ffmpeg reads and writes it. Integers are big endian, groups of seven bits.
constexpr std::string_view kFileId{"nut/multimedia container\0", 25};
constexpr std::uint64_t kMainStart = 0x4E4D7A561F5F04ADULL;
constexpr std::uint64_t kStreamStart = 0x4E5311405BF2F9DBULL;
constexpr std::uint64_t kSyncpointStart = 0x4E4BE4ADEECA4569ULL;
constexpr std::uint64_t kIndexStart = 0x4E58DD672F23E64EULL;
constexpr std::uint64_t kInfoStart = 0x4E49AB68B596BA78ULL;
constexpr std::uint64_t kVersion = 3;
// Packets longer than this carry a checksum of their first bytes too.
constexpr std::uint64_t kLongPacketBytes = 4096;

enum FrameFlag : std::uint64_t {
  kFlagKey = 1,
  kFlagEndOfRelevance = 2,
  kFlagCodedPts = 8,
  kFlagStreamId = 16,
  kFlagSizeMsb = 32,
  kFlagChecksum = 64,
  kFlagReserved = 128,
  kFlagSideData = 256,
  kFlagHeaderIndex = 1024,
  kFlagMatchTime = 2048,
  kFlagCoded = 4096,
  kFlagInvalid = 8192,
};

// CRC-32 of the format: polynomial 0x04C11DB7, most significant bit first, from 0, not inverted.
[[nodiscard]] std::uint32_t checksum(std::uint32_t crc, std::span<const std::byte> bytes);

}  // namespace kiln::lane::nut
