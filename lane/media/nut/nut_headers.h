// What the headers of a NUT file say, parsed from their bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/media/nut/nut_format.h"
#include "lane/media/nut/nut_stream.h"

namespace kiln::lane::nut {

// What one frame code stands for.
struct FrameCode {
  std::uint64_t flags = kFlagInvalid;
  std::uint64_t stream_id = 0;
  std::uint64_t size_multiplier = 1;
  std::uint64_t size_low = 0;
  std::int64_t pts_delta = 0;
  std::uint64_t reserved_count = 0;
  std::uint64_t header_index = 0;
};

struct MainHeader {
  std::uint64_t version = 0;
  std::uint64_t flags = 0;
  std::vector<Rational> time_bases;
  std::array<FrameCode, kFrameCodeCount> frame_codes{};
  std::vector<std::vector<std::byte>> elision_headers;  // the first is empty
};

struct StreamHeader {
  NutStream stream;
  std::uint64_t time_base_id = 0;
  std::uint64_t pts_low_bits = 0;
};

inline constexpr std::uint64_t kVersionMin = 2;
inline constexpr std::uint64_t kVersionMax = 4;
inline constexpr std::size_t kTimeBasesMax = 16;
inline constexpr std::size_t kElisionHeadersMax = 128;
inline constexpr std::size_t kElisionHeaderBytesMax = 256;
inline constexpr std::size_t kExtradataBytesMax = 1UL << 20U;
inline constexpr std::uint64_t kReservedFieldsMax = 256;
inline constexpr std::uint64_t kPictureSideMax = 1U << 16U;

// `body` is a packet's content without its checksum. kDataLoss, kUnimplemented for what Kiln never meets.
[[nodiscard]] Result<MainHeader> parse_main_header(std::span<const std::byte> body);
[[nodiscard]] Result<StreamHeader> parse_stream_header(std::span<const std::byte> body, const MainHeader& main);
// The time of a syncpoint in ticks of `time_base`.
[[nodiscard]] Result<std::int64_t> parse_syncpoint(std::span<const std::byte> body, const MainHeader& main,
                                                   Rational time_base);
// How many bytes at the front of a frame's payload are side data and metadata.
[[nodiscard]] Result<std::size_t> side_data_bytes(std::span<const std::byte> payload);

}  // namespace kiln::lane::nut
