// Codecs and containers of outputs, and which of them can hold what.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lane/media/media_tools.h"
#include "lane/media/pixel_format.h"

namespace kiln::lane {

enum class Codec : std::uint8_t { kH264, kHevc, kAv1, kFfv1, kProres, kPng };
enum class Container : std::uint8_t { kMp4, kMov, kMatroska, kNut, kImageSequence };

[[nodiscard]] std::string_view to_string(Codec codec);  // "h264", "hevc", "av1", "ffv1", "prores", "png"
[[nodiscard]] std::optional<Codec> codec_from_name(std::string_view name);
[[nodiscard]] std::string_view encoder_name(Codec codec);  // ffmpeg's: "libx264"
[[nodiscard]] std::string_view to_string(Container container);
// By base/output_name.h.
[[nodiscard]] Result<Container> container_of_output(std::string_view path);
// What is used when the user names no codec.
[[nodiscard]] Codec default_codec(Container container);

// PURE. Refuses what cannot be held (odd sizes with halved chroma, sizes beyond the codec, depths and
// layouts it lacks, a container without that codec) and says what would work.
[[nodiscard]] Status check_codec(Codec codec, Container container, PixelFormat format, int width, int height);
// The source's format where the codec holds it, else the nearest that it does (more rather than less
// chroma and depth). nullopt where none fits that size.
[[nodiscard]] std::optional<PixelFormat> nearest_encodable_format(Codec codec, PixelFormat format);
// Says which build has it when this ffmpeg does not.
[[nodiscard]] Status check_encoder(const MediaTools& tools, Codec codec);

}  // namespace kiln::lane
