#include "lane/media/clip_index.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "base/process.h"
#include "base/text.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::hours kIndexDeadline{2};
constexpr std::uint64_t kMaxIndexBytes = 1ULL << 30U;

// Codecs where a packet is a frame. VP8 has packets that are never shown; others are looked at frame by frame.
constexpr std::array<std::string_view, 22> kPacketIsFrame{
    "h264",     "hevc",     "av1",  "vp9",   "vvc",     "mpeg1video", "mpeg2video", "mpeg4",
    "ffv1",     "prores",   "png",  "mjpeg", "dnxhd",   "rawvideo",   "huffyuv",    "ffvhuff",
    "utvideo",  "qtrle",    "gif",  "v210",  "cfhd",    "magicyuv"};

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The last frames that a decoder held back may come without a time: each follows the one before it, as
// decoding to the end gives them.
void fill_missing_times(std::vector<IndexedPacket>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (frames[i].pts) continue;
    frames[i].pts = i == 0 ? 0 : *frames[i - 1].pts + std::max<std::int64_t>(1, frames[i - 1].duration);
  }
}

Result<std::vector<IndexedPacket>> list_entries(const MediaTools& tools, const ClipInfo& clip,
                                                const std::string& entries) {
  SpawnOptions options;
  options.argv = {tools.ffprobe_path, "-v", "error", "-select_streams", std::to_string(clip.stream_index),
                  "-show_entries", entries, "-of", "compact=p=0"};
  const auto input = input_arguments(clip.source);
  options.argv.insert(options.argv.end(), input.begin(), input.end());
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(const CommandOutput output, run_command(std::move(options), kIndexDeadline, kMaxIndexBytes));
  const std::string doing = clip.source.path + ": reading its frames";
  if (!output.status.ok()) return fail(ffmpeg_error(output.status, output.err, doing, ExitCode::kInputRefused));
  auto packets = parse_packets(output.out);
  const bool corrupt = std::any_of(packets.begin(), packets.end(), [](const auto& p) { return p.corrupt; });
  if (says_truncated(output.err) || corrupt) {
    return fail(input_refused("{} is truncated: it ends after {} of its frames; get the whole file, or cut it to "
                              "what is there with ffmpeg -i {} -c copy",
                              clip.source.path, packets.size(), clip.source.path));
  }
  return packets;
}

}  // namespace

bool says_truncated(const std::string& complaints) {
  static constexpr std::array<std::string_view, 4> kWords{"partial file", "ended prematurely", "Truncat",
                                                          "truncat"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](auto words) { return complaints.find(words) != std::string::npos; });
}

std::vector<IndexedPacket> parse_packets(std::string_view text) {
  std::vector<IndexedPacket> packets;
  for (const auto line : split(text, '\n')) {
    IndexedPacket packet;
    bool any = false;
    for (const auto field : split(line, '|')) {
      const auto equals = field.find('=');
      if (equals == std::string_view::npos) continue;
      const auto key = field.substr(0, equals);
      const auto value = field.substr(equals + 1);
      if (key == "pts" || key == "best_effort_timestamp") {
        packet.pts = parse_number(value);
        any = true;
      } else if (key == "duration" || key == "pkt_duration") {
        packet.duration = parse_number(value).value_or(packet.duration);
      } else if (key == "flags") {
        packet.keyframe = value.find('K') != std::string_view::npos;
        packet.discarded = value.find('D') != std::string_view::npos;
        packet.corrupt = value.find('C') != std::string_view::npos;
      } else if (key == "key_frame") {
        packet.keyframe = value == "1";
      }
    }
    if (any) packets.push_back(packet);
  }
  return packets;
}

bool packets_tell_frames(const std::vector<IndexedPacket>& packets) {
  if (packets.empty()) return true;
  std::vector<std::int64_t> times;
  for (const auto& packet : packets) {
    if (!packet.pts) return false;
    times.push_back(*packet.pts);
  }
  std::sort(times.begin(), times.end());
  const bool distinct = std::adjacent_find(times.begin(), times.end()) == times.end();
  return distinct && packets[0].keyframe && *packets[0].pts == times[0];
}

std::vector<ClipFrame> frames_from(const std::vector<IndexedPacket>& packets, std::int64_t usual_duration) {
  std::vector<ClipFrame> frames;
  for (const auto& packet : packets) {
    if (packet.discarded || !packet.pts) continue;
    frames.push_back({*packet.pts, packet.duration, packet.keyframe});
  }
  std::sort(frames.begin(), frames.end(), [](const auto& a, const auto& b) { return a.pts < b.pts; });
  for (std::size_t i = 0; i + 1 < frames.size(); ++i) frames[i].duration = frames[i + 1].pts - frames[i].pts;
  if (!frames.empty() && frames.back().duration <= 0) {
    frames.back().duration = std::max<std::int64_t>(usual_duration, 1);
  }
  return frames;
}

Status index_frames(const MediaTools& tools, ClipInfo& clip) {
  const bool known = std::find(kPacketIsFrame.begin(), kPacketIsFrame.end(), clip.codec) != kPacketIsFrame.end();
  // AVI has no times of its own for frames that are stored out of order; fields may be packets each.
  const bool trusted = known && !clip.interlaced && clip.container != "avi";
  KILN_TRY_ASSIGN(std::vector<IndexedPacket> entries,
                  list_entries(tools, clip, "packet=pts,duration,flags"));
  if (!trusted || !packets_tell_frames(entries)) {
    KILN_TRY_ASSIGN(entries, list_entries(tools, clip,
                                          "frame=key_frame,best_effort_timestamp,pkt_duration,duration"));
    fill_missing_times(entries);
  }
  const Rational frame_time{clip.frame_rate.den, clip.frame_rate.num};
  clip.frames = frames_from(entries, rescale(1, frame_time, clip.time_base).value_or(1));
  if (clip.frames.empty()) {
    return fail(input_refused("{} holds no frames of video; is the recording finished?", clip.source.path));
  }
  for (std::size_t i = 0; i + 1 < clip.frames.size(); ++i) {
    if (clip.frames[i].duration > 0) continue;
    return fail(input_refused("{}: frames {} and {} have the same time; give every frame its own, for instance with "
                              "ffmpeg -i {} -fps_mode cfr",
                              clip.source.path, i, i + 1, clip.source.path));
  }
  return {};
}

}  // namespace kiln::lane
