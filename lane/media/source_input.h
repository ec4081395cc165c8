// How ffmpeg and ffprobe are told where a clip's bytes are: a file of this machine, or the farm's store over HTTP.
#pragma once

#include <string>
#include <vector>

#include "lane/media/clip_info.h"

namespace kiln::lane {

// "-i" and what goes in front of it.
[[nodiscard]] std::vector<std::string> input_arguments(const ClipSource& source);

// An address means as much to people as a grant in it does to strangers: messages name the clip instead.
[[nodiscard]] std::string without_location(std::string text, const ClipSource& source);

}  // namespace kiln::lane
