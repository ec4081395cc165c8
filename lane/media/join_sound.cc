#include "lane/media/join_sound.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

namespace kiln::lane {
namespace {

constexpr int kPcm24Bits = 24;

bool any_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// By a tag of WAV files, which Matroska and NUT take over.
bool has_wav_tag(std::string_view codec) {
  return any_of(codec, {"aac",        "ac3",           "adpcm_ct",     "adpcm_g722",   "adpcm_g726", "adpcm_ima_dk3",
                        "adpcm_ima_dk4", "adpcm_ima_wav", "adpcm_ms",  "adpcm_swf",    "adpcm_yamaha", "amr_nb",
                        "amr_wb",     "dfpwm",         "dts",          "eac3",         "flac",       "g723_1",
                        "g729",       "gsm_ms",        "iac",          "imc",          "mp2",        "mp3",
                        "msnsiren",   "opus",          "avc",          "pcm_alaw",     "pcm_f32le",  "pcm_f64le",
                        "pcm_mulaw",  "pcm_s16be",     "pcm_s16le",    "pcm_s24be",    "pcm_s24le",  "pcm_s32be",
                        "pcm_s32le",  "pcm_s64le",     "pcm_u8",       "sonic",        "sonicls",    "speex",
                        "truespeech", "vorbis",        "wavpack",      "wmalossless",  "wmapro",     "wmav1",
                        "wmav2",      "wmavoice",      "xan_dpcm"});
}

// Big-endian and unsigned samples, and planes of whole packets.
bool has_nut_tag(std::string_view codec) {
  return any_of(codec, {"pcm_f32be", "pcm_f64be", "pcm_s16be_planar", "pcm_s16le_planar", "pcm_s24le_planar",
                        "pcm_s32le_planar", "pcm_s64be", "pcm_s8", "pcm_s8_planar", "pcm_u16be", "pcm_u16le",
                        "pcm_u24be", "pcm_u24le", "pcm_u32be", "pcm_u32le"});
}

bool has_mov_tag(std::string_view codec) {
  return any_of(codec, {"aac", "ac3", "adpcm_ima_qt", "alac", "eac3", "mp2", "mp3", "pcm_alaw", "pcm_f32be",
                        "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le", "pcm_s24be",
                        "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_s64le", "pcm_s8", "pcm_u8"});
}

bool is_lossless(std::string_view codec) {
  const bool companded = any_of(codec, {"pcm_alaw", "pcm_mulaw", "pcm_vidc"});
  return (codec.starts_with("pcm_") && !companded) ||
         any_of(codec, {"flac", "alac", "wavpack", "tta", "truehd", "mlp", "ape", "wmalossless", "tak", "shorten",
                        "mp4als", "s302m"});
}

// The plain samples that hold every one that the decoder gives.
std::string_view samples_for(const SourceStream& stream) {
  const std::string_view format = stream.sample_format;
  if (format.starts_with("u8")) return "pcm_u8";
  if (format.starts_with("s16")) return "pcm_s16le";
  if (format.starts_with("s64")) return "pcm_s64le";
  if (format.starts_with("flt")) return "pcm_f32le";
  if (format.starts_with("dbl")) return "pcm_f64le";
  return stream.sample_bits > 0 && stream.sample_bits <= kPcm24Bits ? "pcm_s24le" : "pcm_s32le";
}

// In the order in which they are tried. What lossy tracks decode to is kept as it is where that is possible.
std::vector<std::string_view> encoders_for(Container container, const SourceStream& stream) {
  const bool lossless = is_lossless(stream.codec);
  if (container == Container::kMp4) return {lossless ? "alac" : "aac"};
  if (container == Container::kMov) {
    if (!lossless) return {"aac"};
    if (stream.codec.starts_with("pcm_")) return {samples_for(stream), "alac"};
    return {"alac"};
  }
  if (lossless) return {samples_for(stream), "flac"};
  return {"flac", "aac"};
}

}  // namespace

bool holds_sound(Container container, std::string_view codec) {
  switch (container) {
    case Container::kMp4:
      return any_of(codec, {"aac", "ac3", "eac3", "mp3", "mp2", "alac", "flac", "opus", "dts"});
    case Container::kMov:
      return has_mov_tag(codec);
    case Container::kMatroska:
      return has_wav_tag(codec) || any_of(codec, {"alac", "mlp", "mp1", "ra_144", "truehd", "tta"});
    case Container::kNut:
      return has_wav_tag(codec) || has_nut_tag(codec);
    case Container::kImageSequence:
      break;
  }
  return false;
}

std::string sound_coding(Container container, const SourceStream& stream, const MediaTools& tools) {
  if (holds_sound(container, stream.codec)) return "copy";
  if (!tools.has_decoder(stream.codec)) return {};
  for (const std::string_view encoder : encoders_for(container, stream)) {
    if (tools.has_encoder(encoder)) return std::string(encoder);
  }
  return {};
}

}  // namespace kiln::lane
