// The raw pixel formats that cross between ffmpeg and the lane: where each sample of a frame lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::lane {

enum class PixelLayout : std::uint8_t {
  kYuv420,  // planes Y, U, V; chroma halved both ways (rounded up)
  kYuv422,  // planes Y, U, V; chroma halved across (rounded up)
  kYuv444,  // planes Y, U, V
  kGray,    // one plane
  kRgb,     // packed: one plane R G B R G B …; planar: three planes in ffmpeg's gbrp order G, B, R
};

// A frame is one contiguous buffer: the planes one after the other, rows without padding, samples of
// 1 byte (8 bit) or 2 bytes little endian (more), exactly ffmpeg's rawvideo of `ffmpeg_name()`.
struct PixelFormat {
  PixelLayout layout = PixelLayout::kYuv420;
  int bit_depth = 8;    // 8, 10, 12 or 16; samples sit in the low bits
  bool packed = false;  // kRgb only

  bool operator==(const PixelFormat&) const = default;

  // The native format of that ffmpeg name ("yuv420p10le"); the full-range yuvj names count as their
  // plain ones. nullopt: not native, see nearest_native_format().
  [[nodiscard]] static std::optional<PixelFormat> from_ffmpeg_name(std::string_view name);
  [[nodiscard]] std::string ffmpeg_name() const;

  [[nodiscard]] int plane_count() const;
  [[nodiscard]] int channels() const { return layout == PixelLayout::kGray ? 1 : 3; }
  [[nodiscard]] bool is_rgb() const { return layout == PixelLayout::kRgb; }
  [[nodiscard]] bool has_chroma_planes() const {
    return layout != PixelLayout::kGray && layout != PixelLayout::kRgb;
  }
  [[nodiscard]] int bytes_per_sample() const { return bit_depth > 8 ? 2 : 1; }
  [[nodiscard]] int max_value() const { return (1 << bit_depth) - 1; }
  [[nodiscard]] int chroma_shift_x() const;  // 1 where chroma is halved across
  [[nodiscard]] int chroma_shift_y() const;
  // In samples; a packed RGB plane has 3 × width of them across.
  [[nodiscard]] int plane_width(int plane, int width) const;
  [[nodiscard]] int plane_height(int plane, int height) const;
  [[nodiscard]] std::size_t plane_row_bytes(int plane, int width) const;
  [[nodiscard]] std::size_t plane_bytes(int plane, int width, int height) const;
  [[nodiscard]] std::size_t plane_offset_bytes(int plane, int width, int height) const;
  [[nodiscard]] std::size_t frame_bytes(int width, int height) const;
};

// What ffmpeg is asked for when a source's own format is not native.
struct NearestFormat {
  PixelFormat format;
  std::string what_changes;  // for people: "alpha is dropped"; empty when only the order of bytes changes
};

// nullopt for names that no rule knows (hardware surfaces, Bayer).
[[nodiscard]] std::optional<NearestFormat> nearest_native_format(std::string_view ffmpeg_name);

}  // namespace kiln::lane
