// Looks for a clip's HDR metadata, which may stand in its container or in its first frames.
#pragma once

#include "base/result.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {

// Fills clip.hdr, and says in clip.warnings what of its kind is not carried on. Costs a call of ffprobe that decodes
// a few frames, and only for clips whose colour tags are those of HDR or that `in_container` says to have some.
[[nodiscard]] Status probe_hdr(const MediaTools& tools, bool in_container, ClipInfo& clip);

}  // namespace kiln::lane
