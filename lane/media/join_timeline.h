// The samples of all segments as one track: which frame each is, when it is shown, where its bytes lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/mov_track.h"
#include "lane/media/segment_join.h"

namespace kiln::lane {

// All samples of the output in decode order, with where their bytes lie.
struct Timeline {
  MovTrack track;                       // offsets are those in the segments
  std::vector<std::int64_t> frames;     // index of each sample's frame in the clip
  std::vector<std::size_t> segment_of;  // of each sample
  std::int64_t first_dts = 0;           // before the shift to 0
  std::int64_t last_duration = 0;
};

// Reads the segments' tables. Refuses segments that do not cover the clip, hold other frames than they should, or were
// encoded with other settings than the first.
[[nodiscard]] Result<Timeline> make_timeline(const ClipInfo& clip, const EncoderSettings& settings,
                                             const std::vector<SegmentFile>& segments);

// The same of segments that follow each other anywhere in the clip.
[[nodiscard]] Result<Timeline> make_part_timeline(const ClipInfo& clip, const EncoderSettings& settings,
                                                  const std::vector<SegmentFile>& segments);

// Hands each sample's bytes to `take`, in decode order, one segment open at a time: pages of its file, for the system to read. A
// file that is cut short meanwhile is an error there, and would be a signal here.
[[nodiscard]] Status for_each_sample(const Timeline& timeline, const std::vector<SegmentFile>& segments,
                                     const std::function<Status(std::size_t, std::span<const std::byte>)>& take);

}  // namespace kiln::lane
