#include "lane/media/join_table_room.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace kiln::lane {
namespace {

constexpr std::int64_t kHeadBytes = 64 << 10;       // headers, metadata of files and tracks
constexpr std::int64_t kBytesPerChapter = 1 << 10;  // title in two lists, sample of a track
// Of a sample at most: its length, place, chunk, duration, offset, and that it is a key frame.
constexpr std::int64_t kBytesPerFrame = 44;
constexpr std::int64_t kBytesPerPacket = 24;  // of sound: all are of one duration, and key frames
constexpr double kPacketsPerSecond = 100.0;   // AAC at 96 kHz has 94, MP3 at 48 kHz 42

bool is_counted(std::string_view codec) {
  constexpr std::array<std::string_view, 6> kCounted{"aac", "mp3", "ac3", "alac", "flac", "opus"};
  return std::find(kCounted.begin(), kCounted.end(), codec) != kCounted.end();
}

// Of a file of segments like the first.
std::int64_t expected_bytes(const ClipInfo& clip, const Timeline& timeline) {
  std::int64_t bytes = 0;
  std::int64_t frames = 0;
  for (std::size_t i = 0; i < timeline.segment_of.size() && timeline.segment_of[i] == 0; ++i, ++frames) {
    bytes += timeline.track.samples[i].size;
  }
  return frames == 0 ? 0 : bytes / frames * clip.frame_count();
}

}  // namespace

std::int64_t table_room(const ClipInfo& clip, const EncoderSettings& settings, const Timeline& timeline) {
  const Container container = settings.request.container;
  if (container != Container::kMp4 && container != Container::kMov) return 0;
  std::int64_t room = kHeadBytes + kBytesPerFrame * clip.frame_count() + kBytesPerChapter * clip.chapter_count;
  for (const SourceStream& stream : clip.other_streams) {
    const bool has_packets = stream.kind == StreamKind::kAudio || stream.kind == StreamKind::kSubtitle ||
                             stream.kind == StreamKind::kCoverPicture;  // the others are left out
    if (!has_packets) continue;
    if (stream.kind != StreamKind::kAudio || !is_counted(stream.codec)) return 0;
    room += kBytesPerPacket * static_cast<std::int64_t>(std::ceil(kPacketsPerSecond * clip.duration_s()));
  }
  return room <= expected_bytes(clip, timeline) / kTableRoomShare ? room : 0;
}

}  // namespace kiln::lane
