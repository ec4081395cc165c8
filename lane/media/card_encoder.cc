#include "lane/media/card_encoder.h"

#include "sharding/encoder_choice.h"

namespace kiln::lane {
namespace {

constexpr std::string_view kPreset = "p5";

}  // namespace

void add_card_encoder(const OutputRequest& request, int quality, int keyframe_interval, std::vector<std::string>& out) {
  const std::string preset = request.preset.empty() ? std::string(kPreset) : request.preset;
  // Constant quality; closed groups without B-frames, so that segments of any length stand one behind the other.
  out.insert(out.end(), {"-c:v", request.encoder, "-preset", preset, "-tune", "hq", "-rc", "vbr", "-cq", std::to_string(quality), "-b:v", "0",
                         "-bf", "0", "-g", std::to_string(keyframe_interval), "-forced-idr", "1", "-flags", "+cgop"});
}

Status check_card_encoder(const MediaTools& tools, const OutputRequest& request) {
  const std::string_view codec = to_string(request.codec);
  if (sharding::card_encoder_of(codec) != request.encoder) {
    return fail(make_error(ErrorCode::kInvalidArgument, "'{}' is no encoder of cards for {}", request.encoder, codec));
  }
  if (sharding::card_format_of(codec, request.format.ffmpeg_name()).empty()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{} does not take {}", request.encoder, request.format.ffmpeg_name()));
  }
  if (!tools.has_encoder(request.encoder)) {
    return fail(bad_config("{} (version {}) was built without {}; a job that says encoder = \"software\" needs none", tools.ffmpeg_path,
                           tools.version, request.encoder));
  }
  if (request.preset.empty() || sharding::is_card_preset(request.preset)) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, "preset '{}' of {}: it goes from p1 to p7", request.preset, request.encoder));
}

}  // namespace kiln::lane
