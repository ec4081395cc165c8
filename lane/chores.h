// The tasks of a lane beside rendering: looking at a clip, and joining what was rendered.
#pragma once

#include <string>

#include "lane/media/clip_info.h"
#include "lane/media/media_tools.h"
#include "net/lane_messages.h"

namespace kiln::lane {

// ProbeDone or LaneTaskFailed. Also plans the output and refuses what its codec cannot hold, before any work.
[[nodiscard]] net::FromLane run_probe(const MediaTools& tools, const net::ProbeTask& task);
// JoinDone or LaneTaskFailed.
[[nodiscard]] net::FromLane run_join(const MediaTools& tools, const ClipInfo& clip, const net::JoinTask& task,
                                     int encoder_threads);

[[nodiscard]] std::string program_directory();  // where kiln-lane lies

}  // namespace kiln::lane
