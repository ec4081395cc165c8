#include "lane/media/join_losses.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::lane {
namespace {

// H.264, HEVC and AV1 carry it in the stream, the others leave it to a container that knows of it.
bool holds_hdr(Codec codec, Container container) {
  return container != Container::kNut || codec == Codec::kH264 || codec == Codec::kHevc || codec == Codec::kAv1;
}

bool holds_range(Codec codec, Container container) {
  const bool untagged = codec == Codec::kFfv1 || codec == Codec::kPng;
  return !untagged || container != Container::kMov;
}

// Where nothing is said, players take the left siting. Down the picture it counts only for 4:2:0.
bool holds_siting(Codec codec, PixelFormat format, ChromaSiting siting) {
  if (!format.has_chroma_planes() || format.chroma_shift_x() == 0) return true;
  const bool left = siting == ChromaSiting::kUnspecified || siting == ChromaSiting::kLeft;
  const bool column = siting == ChromaSiting::kTopLeft || siting == ChromaSiting::kBottomLeft;
  if (left || (column && format.chroma_shift_y() == 0)) return true;
  if (codec == Codec::kAv1) return siting == ChromaSiting::kTopLeft;
  return codec == Codec::kH264 || codec == Codec::kHevc;
}

}  // namespace

std::vector<std::string> image_losses(const ClipInfo& clip) {
  std::vector<std::string> losses;
  if (std::any_of(clip.other_streams.begin(), clip.other_streams.end(),
                  [](const auto& stream) { return stream.kind == StreamKind::kAudio; })) {
    losses.push_back(fmt::format("{}: images hold no sound; it is left out", clip.source.path));
  }
  if (clip.display_matrix) {
    losses.push_back(fmt::format("{} is stored turned; the images are as stored", clip.source.path));
  }
  if (!clip.hdr.empty()) {
    losses.push_back(fmt::format("{}: images hold no HDR10 metadata; it is left out", clip.source.path));
  }
  return losses;
}

std::vector<std::string> picture_losses(const ClipInfo& clip, const EncoderSettings& settings) {
  const OutputRequest& request = settings.request;
  const std::string_view codec = to_string(request.codec);
  const std::string_view container = to_string(request.container);
  const ColorDescription& color = request.color;
  std::vector<std::string> losses;
  if (!request.format.is_rgb() && color.range == ColorRange::kFull && !holds_range(request.codec, request.container)) {
    losses.push_back(fmt::format("{}: {} cannot say that {} uses the full range; write .mkv", clip.source.path,
                                 container, codec));
  }
  if (!holds_siting(request.codec, request.format, color.siting)) {
    losses.push_back(fmt::format("{}: {} cannot say that chroma is sited {}; players will take it as left",
                                 clip.source.path, codec, to_ffmpeg(color.siting)));
  }
  if (!settings.hdr.empty() && !holds_hdr(request.codec, request.container)) {
    losses.push_back(fmt::format("{}: {} holds no HDR10 metadata of {}; it is left out; .mkv keeps it",
                                 clip.source.path, container, codec));
  }
  return losses;
}

}  // namespace kiln::lane
