#include "lane/media/nut_muxer.h"

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "base/check.h"
#include "lane/media/nut_format.h"

namespace kiln::lane {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t kMaxDistanceBytes = 65536;
constexpr std::uint64_t kMaxPtsDistance = 1U << 30U;

void put_byte(Bytes& out, std::uint64_t value) { out.push_back(static_cast<std::byte>(value & 0xFFU)); }

void put_fixed(Bytes& out, std::uint64_t value, int byte_count) {
  for (int i = byte_count - 1; i >= 0; --i) put_byte(out, value >> static_cast<unsigned>(8 * i));
}

void put_varint(Bytes& out, std::uint64_t value) {
  int groups = 1;
  while (groups < 10 && (value >> static_cast<unsigned>(7 * groups)) != 0) ++groups;
  for (int i = groups - 1; i > 0; --i) {
    put_byte(out, 0x80U | ((value >> static_cast<unsigned>(7 * i)) & 0x7FU));
  }
  put_byte(out, value & 0x7FU);
}

void put_signed(Bytes& out, std::int64_t value) {
  const std::uint64_t magnitude = static_cast<std::uint64_t>(value < 0 ? -value : value);
  put_varint(out, value > 0 ? 2 * magnitude - 1 : 2 * magnitude);
}

void put_string(Bytes& out, std::string_view text) {
  put_varint(out, text.size());
  for (const char c : text) put_byte(out, static_cast<unsigned char>(c));
}

void put_packet(Bytes& out, std::uint64_t startcode, const Bytes& payload) {
  const std::uint64_t length = payload.size() + 4;
  const std::size_t begin = out.size();
  put_fixed(out, startcode, 8);
  put_varint(out, length);
  if (length > nut::kLongPacketBytes) {
    put_fixed(out, nut::checksum(0, std::span(out).subspan(begin)), 4);
  }
  out.insert(out.end(), payload.begin(), payload.end());
  put_fixed(out, nut::checksum(0, payload), 4);
}

// ffmpeg's tags of raw formats: four letters, or letter, plane count, log2 of chroma steps, depth.
std::string fourcc_of(PixelFormat format) {
  const auto depth = static_cast<char>(format.bit_depth);
  const bool eight = format.bit_depth == 8;
  switch (format.layout) {
    case PixelLayout::kYuv420:
      return eight ? "I420" : std::string{'Y', '3', '\x0B', depth};
    case PixelLayout::kYuv422:
      return eight ? "Y42B" : std::string{'Y', '3', '\x0A', depth};
    case PixelLayout::kYuv444:
      return eight ? "444P" : std::string{'Y', '3', '\0', depth};
    case PixelLayout::kGray:
      return eight ? "Y800" : std::string{'Y', '1', '\0', depth};
    case PixelLayout::kRgb:
      break;
  }
  if (format.packed) return std::string{'R', 'G', 'B', static_cast<char>(3 * format.bit_depth)};
  return std::string{'G', '3', '\0', depth};
}

Bytes main_header(const NutVideo& video) {
  Bytes body;
  put_varint(body, nut::kVersion);
  put_varint(body, 1);  // streams
  put_varint(body, kMaxDistanceBytes);
  put_varint(body, 1);  // time bases
  put_varint(body, static_cast<std::uint64_t>(video.time_base.num));
  put_varint(body, static_cast<std::uint64_t>(video.time_base.den));
  // One entry for all 255 frame codes: every frame says its own flags.
  put_varint(body, nut::kFlagCoded);
  put_varint(body, 6);  // fields
  put_signed(body, 0);  // pts delta
  put_varint(body, 1);  // size multiplier
  put_varint(body, 0);  // stream
  put_varint(body, 0);  // size
  put_varint(body, 0);  // reserved
  put_varint(body, 255);
  put_varint(body, 0);  // elision headers
  return body;
}

Bytes stream_header(const NutVideo& video) {
  Bytes body;
  put_varint(body, 0);  // id
  put_varint(body, 0);  // class: video
  put_string(body, fourcc_of(video.format));
  put_varint(body, 0);  // time base
  put_varint(body, 0);  // pts are written whole
  put_varint(body, kMaxPtsDistance);
  put_varint(body, 0);     // decode delay
  put_varint(body, 0);     // flags
  put_string(body, "");    // codec data
  put_varint(body, static_cast<std::uint64_t>(video.width));
  put_varint(body, static_cast<std::uint64_t>(video.height));
  const bool known = video.sample_aspect.is_positive();
  put_varint(body, known ? static_cast<std::uint64_t>(video.sample_aspect.num) : 0);
  put_varint(body, known ? static_cast<std::uint64_t>(video.sample_aspect.den) : 0);
  put_varint(body, 0);  // colour: said on the command line
  return body;
}

Bytes frame_rate_info(const NutVideo& video) {
  Bytes body;
  put_varint(body, 1);  // stream 0
  put_signed(body, 0);  // chapter
  put_varint(body, 0);
  put_varint(body, 0);
  put_varint(body, 1);  // entries
  put_string(body, "r_frame_rate");
  put_signed(body, -1);  // a text
  put_string(body, video.frame_rate.text());
  return body;
}

}  // namespace

Bytes nut_headers(const NutVideo& video) {
  KILN_CHECK(video.time_base.is_positive() && video.width > 0 && video.height > 0, "no video");
  Bytes out;
  for (const char c : nut::kFileId) put_byte(out, static_cast<unsigned char>(c));
  put_packet(out, nut::kMainStart, main_header(video));
  put_packet(out, nut::kStreamStart, stream_header(video));
  if (video.frame_rate.is_positive()) put_packet(out, nut::kInfoStart, frame_rate_info(video));
  return out;
}

Bytes nut_frame_head(std::int64_t pts, std::uint64_t frame_bytes) {
  KILN_CHECK(pts >= 0, "pts {}", pts);
  Bytes syncpoint;
  put_varint(syncpoint, static_cast<std::uint64_t>(pts));  // of the only time base
  put_varint(syncpoint, 0);                                // way back to the last key frame
  Bytes out;
  put_packet(out, nut::kSyncpointStart, syncpoint);
  const std::size_t begin = out.size();
  put_byte(out, 0);  // frame code
  put_varint(out, nut::kFlagKey | nut::kFlagCodedPts | nut::kFlagSizeMsb | nut::kFlagChecksum |
                      nut::kFlagCoded);
  put_varint(out, static_cast<std::uint64_t>(pts) + 1);
  put_varint(out, frame_bytes);
  put_fixed(out, nut::checksum(0, std::span(out).subspan(begin)), 4);
  return out;
}

}  // namespace kiln::lane
