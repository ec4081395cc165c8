// Images of a sequence as files: which ones a pattern means, and what they are like, so that a repeated command
// knows whether it has the same ones before it. What is in them is a lane's business.
#pragma once

#include <string>
#include <vector>

#include "base/image_pattern.h"
#include "base/output_name.h"
#include "base/result.h"

namespace kiln::cli {

// "a/b" -> "a"; "b" -> ".".
[[nodiscard]] std::string folder_of(const std::string& path);

// Those of `names` that the pattern holds, in the same order.
[[nodiscard]] std::vector<std::string> images_among(const std::vector<std::string>& names,
                                                    const ImagePattern& pattern);
// The same of what lies in the folder of an output's pattern, sorted; none where it cannot be read.
[[nodiscard]] std::vector<std::string> images_at(const std::string& pattern);

// Size and time of a file, or of each image of a pattern; empty when there is nothing. A rename changes none of it.
[[nodiscard]] std::string output_state(const std::string& output);
// The same of a source: a file, a folder, "shot_%04d.png" or "shot_*.png", as lanes take it. What `output` names
// is no part of it, wherever it lies. Exit code 66 when there is no such file.
[[nodiscard]] Result<std::string> source_state(const std::string& source, const std::string& output);

}  // namespace kiln::cli
