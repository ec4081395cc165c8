// What an output may be called, and what its name means. Commands, workers and lanes ask here, so that they agree.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/image_pattern.h"
#include "base/result.h"

namespace kiln {

inline constexpr std::size_t kFileNameBytesMax = 255;  // what file systems take

// What follows the last part's last dot, in lower case; empty where there is none.
[[nodiscard]] std::string extension_of(std::string_view path);

// Images are written as PNG alone: "shot_%04d.png" is a sequence, "shot%03d.mkv" a video of that name.
[[nodiscard]] std::optional<ImagePattern> output_pattern(const std::string& path);
[[nodiscard]] bool is_output_pattern(const std::string& path);

// Exit code 2: no output can have that name; 73: it is too long for a file. The message begins with the path as it was given.
[[nodiscard]] Status check_output_name(const std::string& path);

}  // namespace kiln
