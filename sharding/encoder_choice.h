// Who encodes an output: processors, or the cards that render it. One encoder for all of its segments. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::sharding {

enum class EncoderWish : std::uint8_t {
  kSoftware,
  kHardware,  // or the job fails
  kAuto,      // hardware where every lane has it
};
[[nodiscard]] std::string_view to_string(EncoderWish wish);
[[nodiscard]] Result<EncoderWish> encoder_wish_from_string(std::string_view text);  // empty: software

struct EncoderQuestion {
  EncoderWish wish = EncoderWish::kSoftware;
  std::string codec;         // "h264"
  std::string preset;        // of the job; empty: the encoder's own
  std::string pixel_format;  // of the output, "yuv420p10le"
  std::int64_t width = 0;    // of the output
  std::int64_t height = 0;
  // Of each lane that may get segments: its name, and what was found by trying ("h264_nvenc yuv420p").
  struct Lane {
    std::string name;
    std::vector<std::string> encoders;
  };
  std::vector<Lane> lanes;
};

struct EncoderChoice {
  std::string encoder;  // ffmpeg's name; empty: software
  std::string reason;
};
// kFailedPrecondition: hardware was asked for and cannot be had, and why.
[[nodiscard]] Result<EncoderChoice> choose_encoder(const EncoderQuestion& question);

// "h264_nvenc" of "h264"; empty: cards encode no such thing.
[[nodiscard]] std::string_view card_encoder_of(std::string_view codec);
// The pixel format that it takes for such planes; empty: none.
// "hevc_nvenc p010le" of "hevc_nvenc" and "yuv420p10le": what a lane's card must have. Empty: no card has it.
[[nodiscard]] std::string card_encoder_words(std::string_view encoder, std::string_view pixel_format);
// Of NVENC's presets.
[[nodiscard]] bool is_card_preset(std::string_view preset);
[[nodiscard]] std::string_view card_format_of(std::string_view codec, std::string_view pixel_format);

}  // namespace kiln::sharding
