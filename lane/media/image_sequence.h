// Clips that are folders of pictures.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

// A folder, a pattern that names no existing file ("shot_%04d.png", "shot_*.png"), or one picture.
[[nodiscard]] bool is_image_source(const std::string& path);

// The files in order: by number for "%04d" (a gap is refused), else by name with numbers read as numbers.
// None: exit code 66.
[[nodiscard]] Result<std::vector<std::string>> list_images(const std::string& path);

// The input of ffmpeg's concat demuxer for files [first, end) of `files`.
[[nodiscard]] std::string concat_list(const std::vector<std::string>& files, std::size_t first,
                                      std::size_t end);

}  // namespace kiln::lane
