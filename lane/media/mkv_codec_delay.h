// Opus begins with samples that are not to be heard. Matroska says how long they last, and readers take that off the
// track's times; ffmpeg's muxer adds it in newer versions and not in older ones (5.1), where the sound of a copied
// track would come earlier by it each time that it is copied.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/join_streams.h"

namespace kiln::lane {

// Arguments of the join that put copied Opus tracks where they are in the source. What this ffmpeg does is not guessed
// from its version: the first two packets of each track are written to `output`, and read.
[[nodiscard]] Result<std::vector<std::string>> codec_delay_arguments(const MediaTools& tools, const ClipInfo& clip,
                                                                     const std::vector<OpusTrack>& tracks,
                                                                     const std::string& output);

// PURE. `listing` has lines "STREAM,SECONDS" of packets that were sent off at 0 and at kTrialTicks.
inline constexpr int kTrialTicks = 48000;
[[nodiscard]] std::vector<std::string> arguments_after_trial(const std::string& listing,
                                                             const std::vector<OpusTrack>& tracks);

}  // namespace kiln::lane
