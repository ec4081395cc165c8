#include "base/image_pattern.h"

#include <algorithm>

namespace kiln {
namespace {

constexpr std::size_t kDigitsMax = 100;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool ImagePattern::holds(std::string_view name) const {
  if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix)) {
    return false;
  }
  const std::string_view number = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  return number.size() >= digits && std::all_of(number.begin(), number.end(), is_digit);
}

std::optional<ImagePattern> image_pattern(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  const auto percent = name.find('%');
  if (percent == std::string::npos || name.find('%', percent + 1) != std::string::npos) return std::nullopt;
  std::size_t at = percent + 1;
  std::size_t digits = 0;
  while (at < name.size() && is_digit(name[at]) && digits < kDigitsMax) {
    digits = digits * 10 + static_cast<std::size_t>(name[at++] - '0');
  }
  if (at >= name.size() || name[at] != 'd') return std::nullopt;
  return ImagePattern{name.substr(0, percent), name.substr(at + 1), digits};
}

}  // namespace kiln
