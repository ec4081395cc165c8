// The time of every frame, read from a file's packets (or, where those do not tell, by decoding it).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {

// Fills clip.frames of a file. `clip` has its stream, codec, container and rates already.
[[nodiscard]] Status index_frames(const MediaTools& tools, ClipInfo& clip);

// Whether ffprobe's complaints mean that a file ends before its own tables do.
[[nodiscard]] bool says_truncated(const std::string& complaints);

struct IndexedPacket {
  std::optional<std::int64_t> pts;
  std::int64_t duration = 0;
  bool keyframe = false;
  bool discarded = false;  // outside the edit list: decoded, never shown
  bool corrupt = false;
};

// One line of ffprobe's compact output per packet or frame: "pts=0|duration=1001|flags=K__". Lines that are
// neither are passed over.
[[nodiscard]] std::vector<IndexedPacket> parse_packets(std::string_view text);

// Every packet is one frame, all times are known and different, and it starts with a key frame that
// nothing precedes: then packets in order of time are the frames.
[[nodiscard]] bool packets_tell_frames(const std::vector<IndexedPacket>& packets);

// Sorted by time, with durations to the next; the last one's own, or `usual_duration`.
[[nodiscard]] std::vector<ClipFrame> frames_from(const std::vector<IndexedPacket>& packets,
                                                 std::int64_t usual_duration);

}  // namespace kiln::lane
