// Planes of a clip to what the network reads, and what it made to planes for the encoder.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/color/frame_converter.h"
#include "lane/media/encoder_settings.h"
#include "lane/pipelines/tile_runner.h"

namespace kiln::lane {

// Immutable; any thread.
class FrameInput {
 public:
  [[nodiscard]] static Result<FrameInput> create(const ClipInfo& clip);
  [[nodiscard]] Status convert(std::span<const std::byte> planes, RgbFrame& out) const;

 private:
  explicit FrameInput(FrameConverter converter) : converter_(std::move(converter)) {}
  FrameConverter converter_;
};

class FrameOutput {
 public:
  [[nodiscard]] static Result<FrameOutput> create(const OutputRequest& request);
  [[nodiscard]] Status convert(const RgbFrame& frame, std::vector<std::byte>& planes) const;

 private:
  explicit FrameOutput(FrameConverter converter) : converter_(std::move(converter)) {}
  FrameConverter converter_;
};

inline constexpr std::size_t kFrameHashBytes = 16;
// So many bytes: XXH3-128 of the planes, canonical byte order.
void append_frame_hash(std::span<const std::byte> planes, std::string& hashes);

}  // namespace kiln::lane
