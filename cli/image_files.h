// Images of a sequence as files: which ones a pattern means, and what they are like, so that a repeated command
// knows whether it has the same ones before it. What is in them is a lane's business.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::cli {

// A name with one number in it: "shot_%04d.png".
struct ImagePattern {
  std::string prefix;
  std::string suffix;
  std::size_t digits = 0;  // at least

  [[nodiscard]] bool holds(std::string_view name) const;
};

// nullopt where the path's last part has no such field, or more than one.
[[nodiscard]] std::optional<ImagePattern> image_pattern(const std::string& path);
[[nodiscard]] bool is_image_pattern(const std::string& path);

// "a/b" -> "a"; "b" -> ".".
[[nodiscard]] std::string folder_of(const std::string& path);

// Those of `names` that the pattern holds, in the same order.
[[nodiscard]] std::vector<std::string> images_among(const std::vector<std::string>& names,
                                                    const ImagePattern& pattern);
// The same of what lies in the pattern's folder, sorted; none where it cannot be read.
[[nodiscard]] std::vector<std::string> images_at(const std::string& pattern);

// Size and time of a file, or of each image of a pattern; empty when there is nothing. A rename changes none of it.
[[nodiscard]] std::string output_state(const std::string& output);
// The same of a source: a file, a folder, "shot_%04d.png" or "shot_*.png", as lanes take it. What `output` names
// is no part of it, wherever it lies. Exit code 66 when there is no such file.
[[nodiscard]] Result<std::string> source_state(const std::string& source, const std::string& output);

}  // namespace kiln::cli
