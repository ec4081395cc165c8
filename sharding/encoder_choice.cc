#include "sharding/encoder_choice.h"

#include <algorithm>
#include <array>

namespace kiln::sharding {
namespace {

// As NVIDIA documents them for every generation that has the codec; smaller and larger frames are the processors'.
constexpr std::int64_t kWidthLeast = 192;
constexpr std::int64_t kHeightLeast = 128;
constexpr std::int64_t kH264SideMost = 4096;
constexpr std::int64_t kSideMost = 8192;

struct Row {
  std::string_view codec;
  std::string_view pixel_format;
  std::string_view encoder;
  std::string_view taken;  // what the encoder calls it
};
constexpr std::array kRows{Row{"h264", "yuv420p", "h264_nvenc", "yuv420p"},    Row{"h264", "yuv444p", "h264_nvenc", "yuv444p"},
                           Row{"hevc", "yuv420p", "hevc_nvenc", "yuv420p"},    Row{"hevc", "yuv444p", "hevc_nvenc", "yuv444p"},
                           Row{"hevc", "yuv420p10le", "hevc_nvenc", "p010le"}, Row{"av1", "yuv420p", "av1_nvenc", "yuv420p"},
                           Row{"av1", "yuv420p10le", "av1_nvenc", "p010le"}};

// Why cards do not encode it. Empty: they do.
std::string objection(const EncoderQuestion& question) {
  if (card_encoder_of(question.codec).empty()) return fmt::format("cards do not encode {}", question.codec);
  if (card_format_of(question.codec, question.pixel_format).empty()) {
    return fmt::format("encoders of cards do not take {} for {}", question.pixel_format, question.codec);
  }
  const std::int64_t most = question.codec == "h264" ? kH264SideMost : kSideMost;
  if (question.width < kWidthLeast || question.height < kHeightLeast || question.width > most || question.height > most) {
    return fmt::format("encoders of cards take {} from {}x{} to {}x{}, not {}x{}", question.codec, kWidthLeast, kHeightLeast, most, most,
                       question.width, question.height);
  }
  if (!question.preset.empty() && !is_card_preset(question.preset)) {
    return fmt::format("encoders of cards have the presets p1 to p7, not '{}'", question.preset);
  }
  if (question.lanes.empty()) return "no lane is there";
  const std::string wanted = card_encoder_words(card_encoder_of(question.codec), question.pixel_format);
  for (const EncoderQuestion::Lane& lane : question.lanes) {
    if (std::find(lane.encoders.begin(), lane.encoders.end(), wanted) != lane.encoders.end()) continue;
    return fmt::format("{} has no {} for {}", lane.name, card_encoder_of(question.codec), question.pixel_format);
  }
  return {};
}

}  // namespace

std::string_view to_string(EncoderWish wish) {
  switch (wish) {
    case EncoderWish::kSoftware: return "software";
    case EncoderWish::kHardware: return "hardware";
    case EncoderWish::kAuto: break;
  }
  return "auto";
}

Result<EncoderWish> encoder_wish_from_string(std::string_view text) {
  if (text.empty()) return EncoderWish::kSoftware;
  for (const EncoderWish wish : {EncoderWish::kSoftware, EncoderWish::kHardware, EncoderWish::kAuto}) {
    if (to_string(wish) == text) return wish;
  }
  return fail(make_error(ErrorCode::kInvalidArgument, "encoder '{}' is none of software, hardware and auto", text));
}

std::string_view card_encoder_of(std::string_view codec) {
  const auto found = std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.codec == codec; });
  return found == kRows.end() ? std::string_view() : found->encoder;
}

std::string_view card_format_of(std::string_view codec, std::string_view pixel_format) {
  const auto found = std::find_if(kRows.begin(), kRows.end(),
                                  [&](const Row& row) { return row.codec == codec && row.pixel_format == pixel_format; });
  return found == kRows.end() ? std::string_view() : found->taken;
}

std::string card_encoder_words(std::string_view encoder, std::string_view pixel_format) {
  const auto found = std::find_if(kRows.begin(), kRows.end(),
                                  [&](const Row& row) { return row.encoder == encoder && row.pixel_format == pixel_format; });
  return found == kRows.end() ? std::string() : fmt::format("{} {}", found->encoder, found->taken);
}

bool is_card_preset(std::string_view preset) { return preset.size() == 2 && preset[0] == 'p' && '1' <= preset[1] && preset[1] <= '7'; }

Result<EncoderChoice> choose_encoder(const EncoderQuestion& question) {
  if (question.wish == EncoderWish::kSoftware) return EncoderChoice{};
  const std::string against = objection(question);
  if (against.empty()) return EncoderChoice{std::string(card_encoder_of(question.codec)), "every lane has it"};
  if (question.wish == EncoderWish::kAuto) return EncoderChoice{{}, against};
  return fail(make_error(ErrorCode::kFailedPrecondition, "encoder = \"hardware\": {}", against));
}

}  // namespace kiln::sharding
