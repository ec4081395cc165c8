// Encoded pieces of one segment become its file, by copying their samples.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/segment_join.h"

namespace kiln::lane {

// `pieces` follow each other without a gap, and were written with `settings`. Returns the file's size. The caller removes
// what was begun when it fails; a full disk is exit code 74.
[[nodiscard]] Result<std::uint64_t> merge_segments(const ClipInfo& clip, const EncoderSettings& settings,
                                                   const std::vector<SegmentFile>& pieces, const std::string& output);

}  // namespace kiln::lane
