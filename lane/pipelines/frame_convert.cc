#include "lane/pipelines/frame_convert.h"

#include "lane/media/color/frame_hash.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kChannels = 3;

Status check_bytes(std::size_t have, std::size_t want) {
  if (have == want) return {};
  return fail(make_error(ErrorCode::kDataLoss, "a frame of {} bytes where {} are due", have, want));
}

}  // namespace

Result<FrameInput> FrameInput::create(const ClipInfo& clip) {
  const auto color = resolve_for_conversion(clip.color, clip.format, clip.width, clip.height);
  KILN_TRY_ASSIGN(auto converter, FrameConverter::create(clip.format, color, clip.width, clip.height));
  return FrameInput(std::move(converter));
}

Status FrameInput::convert(std::span<const std::byte> planes, RgbFrame& out) const {
  KILN_TRY(check_bytes(planes.size(), converter_.frame_bytes()));
  out.resize(converter_.height(), converter_.width());
  converter_.to_rgb(planes, {out.pixels.data(), static_cast<std::size_t>(out.width) * kChannels});
  return {};
}

Result<FrameOutput> FrameOutput::create(const OutputRequest& request) {
  const auto color = resolve_for_conversion(request.color, request.format, request.width, request.height);
  KILN_TRY_ASSIGN(auto converter, FrameConverter::create(request.format, color, request.width, request.height));
  return FrameOutput(std::move(converter));
}

Status FrameOutput::convert(const RgbFrame& frame, std::vector<std::byte>& planes) const {
  if (frame.width != converter_.width() || frame.height != converter_.height()) {
    return fail(make_error(ErrorCode::kInternal, "a frame of {}x{} for an output of {}x{}", frame.width,
                           frame.height, converter_.width(), converter_.height()));
  }
  planes.resize(converter_.frame_bytes());
  converter_.from_rgb({frame.pixels.data(), static_cast<std::size_t>(frame.width) * kChannels}, planes);
  return {};
}

void append_frame_hash(std::span<const std::byte> planes, std::string& hashes) {
  const FrameHash hash = hash_frame(planes);
  for (const std::uint64_t half : {hash.high, hash.low}) {
    for (int shift = 56; shift >= 0; shift -= 8) hashes.push_back(static_cast<char>(half >> shift));
  }
}

}  // namespace kiln::lane
