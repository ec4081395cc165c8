// Frames in host memory, as floats: for lanes of the CPU, and for cards on which our kernels cannot be had.
#pragma once

#include "lane/pipelines/frame_path.h"
#include "lane/pipelines/segment_run.h"

namespace kiln::lane {

// `network` is borrowed and outlives it.
[[nodiscard]] Result<std::unique_ptr<FramePath>> make_host_frame_path(Network& network, const SegmentSpec& spec);

}  // namespace kiln::lane
