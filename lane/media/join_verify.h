// Looks at what was joined: every frame is there, at its time.
#pragma once

#include <string>

#include "base/result.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {

// Compares the file's packets with the clip's index; returns the file's tick in seconds.
[[nodiscard]] Result<Rational> verify_times(const MediaTools& tools, const ClipInfo& clip,
                                            const std::string& output);

// "out_%06d.png", 7 → "out_000007.png".
[[nodiscard]] Result<std::string> image_name(const std::string& pattern, std::int64_t number);

}  // namespace kiln::lane
