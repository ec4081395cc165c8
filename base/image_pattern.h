// Names that mean a sequence of images: "shot_%04d.png". What such a name means as an output: base/output_name.h.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kiln {

// A name with one number in it.
struct ImagePattern {
  std::string prefix;
  std::string suffix;
  std::size_t digits = 0;  // at least

  [[nodiscard]] bool holds(std::string_view name) const;
};

// Of a source: images have many extensions. nullopt where the path's last part has no such field, or more than one.
[[nodiscard]] std::optional<ImagePattern> image_pattern(const std::string& path);

}  // namespace kiln
