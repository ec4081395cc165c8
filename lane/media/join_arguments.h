// What ffmpeg is told to do in the join.
#pragma once

#include <string>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/join_streams.h"
#include "lane/media/join_timeline.h"

namespace kiln::lane {

// The joined track comes down standard input as a MOV file, the rest out of the source. `muxer_options` are added to
// those that the container always gets.
[[nodiscard]] std::vector<std::string> join_arguments(const ClipInfo& clip, const EncoderSettings& settings,
                                                      const Timeline& timeline, const StreamPlan& streams,
                                                      const std::vector<std::string>& muxer_options,
                                                      const std::string& output);

}  // namespace kiln::lane
