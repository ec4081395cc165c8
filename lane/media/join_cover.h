// Cover pictures of a Matroska file. ffmpeg reads them as video tracks and would write them as such; the format keeps
// them as attached files, so each is taken out of the source and attached again.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "lane/media/clip_info.h"
#include "lane/media/join_streams.h"

namespace kiln::lane {

struct AttachedCovers {
  std::vector<std::string> arguments;         // of the join, behind all that is mapped
  std::vector<UniqueFd> pictures;             // in memory; they live as long as the join runs
  std::vector<std::pair<int, int>> inherit;   // for FfmpegOptions
  std::vector<std::string> warnings;          // pictures that could not be read are left out
};

[[nodiscard]] AttachedCovers attach_covers(const MediaTools& tools, const ClipInfo& clip,
                                           const std::vector<CoverPlan>& covers);

}  // namespace kiln::lane
