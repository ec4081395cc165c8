// Numbers of the NUT format, and its checksum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kiln::lane::nut {

inline constexpr std::string_view kFileId{"nut/multimedia container\0", 25};

inline constexpr std::uint64_t kMainStartcode = 0x4E4D7A561F5F04ADULL;
inline constexpr std::uint64_t kStreamStartcode = 0x4E5311405BF2F9DBULL;
inline constexpr std::uint64_t kSyncpointStartcode = 0x4E4BE4ADEECA4569ULL;
inline constexpr std::uint64_t kIndexStartcode = 0x4E58DD672F23E64EULL;
inline constexpr std::uint64_t kInfoStartcode = 0x4E49AB68B596BA78ULL;

// Flags of a frame.
inline constexpr std::uint64_t kFlagKey = 1;
inline constexpr std::uint64_t kFlagEndOfRelevance = 2;
inline constexpr std::uint64_t kFlagCodedPts = 8;
inline constexpr std::uint64_t kFlagStreamId = 16;
inline constexpr std::uint64_t kFlagSizeMsb = 32;
inline constexpr std::uint64_t kFlagChecksum = 64;
inline constexpr std::uint64_t kFlagReserved = 128;
inline constexpr std::uint64_t kFlagSideData = 256;
inline constexpr std::uint64_t kFlagHeaderIndex = 1024;
inline constexpr std::uint64_t kFlagMatchTime = 2048;
inline constexpr std::uint64_t kFlagCoded = 4096;
inline constexpr std::uint64_t kFlagInvalid = 8192;

inline constexpr std::uint64_t kMainFlagBroadcast = 1;  // syncpoints carry a second time
inline constexpr std::uint64_t kStreamClassVideo = 0;
inline constexpr std::size_t kFrameCodeCount = 256;
inline constexpr std::uint8_t kStartcodeByte = 'N';  // never a frame code
inline constexpr std::uint64_t kElisionFrameBytesMax = 4096;  // larger frames never elide a header
inline constexpr std::uint64_t kPlainPacketBytesMax = 4096;   // larger ones checksum their own header
inline constexpr std::size_t kChecksumBytes = 4;

// CRC-32 with polynomial 0x04C11DB7, most significant bit first, initial value 0, not inverted.
[[nodiscard]] std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes);
[[nodiscard]] std::uint32_t crc32(std::uint32_t crc, std::byte byte);

}  // namespace kiln::lane::nut
