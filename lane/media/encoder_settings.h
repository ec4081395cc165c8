// Everything that shapes an encoded output. One value for all segments of it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/codec.h"

namespace kiln::lane {

struct OutputRequest {
  Codec codec = Codec::kH264;
  Container container = Container::kMp4;
  int width = 0;
  int height = 0;
  PixelFormat format;      // of the planes that will be written
  ColorDescription color;  // tags of the output
  int quality = -1;        // CRF of H.264, HEVC, AV1; ProRes profile 0–5; -1: default
  std::string preset;      // of the encoder; empty: default
  int encoder_threads = 2; // bound; in the digest, as encoders may write other bits with other counts
  std::string encoder{};   // ffmpeg's name of a card's; empty: the codec's software
};

struct EncoderSettings {
  OutputRequest request;
  Rational sample_aspect{0, 1};
  HdrMetadata hdr;       // of the clip: in the stream where the codec has a place for it, and in the container
  Rational time_base;    // of frames going in
  Rational frame_rate;   // pinned: guessed rates would differ between segments
  std::vector<std::string> arguments;  // ffmpeg's, from the codec to the tags
  std::string digest;    // SHA-256 over all of the above and the ffmpeg build
};

// Checks codec, container, size and the ffmpeg build; fills in the defaults.
[[nodiscard]] Result<EncoderSettings> plan_encoder(const MediaTools& tools, const ClipInfo& clip,
                                                   const OutputRequest& request);

}  // namespace kiln::lane
