// Joins encoded segments, and what else the source holds, into the output. Nothing is encoded again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"

namespace kiln::lane {

struct SegmentFile {
  std::string path;
  std::int64_t first_frame = 0;  // in the clip
  std::int64_t frame_count = 0;
};

struct JoinReport {
  std::int64_t frame_count = 0;
  Rational tick;  // seconds: the output's own resolution of time
  std::optional<Digest> digest;  // of the file; none: images
  double write_s = 0.0;          // until ffmpeg had ended
  double check_s = 0.0;          // the times in it, its hash, and until it was on the disk
  std::vector<std::string> warnings;  // what the container could not hold, and what became of it
};

// `segments` cover the clip's frames once, in order, all written with `settings`. `output` is a
// temporary name that the caller renames (its extension does not matter), or for an image sequence a
// pattern in an existing folder. Every frame gets the index's timestamp; durations are never added up.
// Writing fails with exit codes 73 and 74; the caller removes what was begun.
[[nodiscard]] Result<JoinReport> join_segments(const MediaTools& tools, const ClipInfo& clip,
                                               const EncoderSettings& settings,
                                               const std::vector<SegmentFile>& segments,
                                               const std::string& output,
                                               const CancelSignal* cancel = nullptr);

}  // namespace kiln::lane
