// What ffmpeg is told to do in the join.
#pragma once

#include <string>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/join_streams.h"
#include "lane/media/join_timeline.h"

namespace kiln::lane {

struct MuxerWishes {
  std::vector<std::string> options;    // beside those that the container always gets
  std::int64_t table_room_bytes = 0;   // of MP4 and MOV, in front of the samples; 0: they are moved behind it in the end
};

// The joined track comes down standard input as a MOV file, the rest out of the source.
[[nodiscard]] std::vector<std::string> join_arguments(const ClipInfo& clip, const EncoderSettings& settings,
                                                      const Timeline& timeline, const StreamPlan& streams,
                                                      const MuxerWishes& muxer,
                                                      const std::string& output);

}  // namespace kiln::lane
