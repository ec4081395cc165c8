#include "base/output_name.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace kiln {
namespace {

constexpr std::string_view kImages = "png";
constexpr std::size_t kFrameDigits = 8;  // what the names of a sequence must have room for
constexpr std::array<std::string_view, 5> kVideos{"mp4", "m4v", "mov", "mkv", "nut"};

Status check_length(const std::string& path, std::size_t bytes) {
  if (bytes <= kFileNameBytesMax) return {};
  return fail(output_unwritable("{}: a name of {} bytes, and files have at most {}; choose a shorter one", path, bytes,
                                kFileNameBytesMax));
}

}  // namespace

std::string extension_of(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const auto dot = name.rfind('.');
  std::string extension(dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1));
  std::ranges::transform(extension, extension.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return extension;
}

std::optional<ImagePattern> output_pattern(const std::string& path) {
  return extension_of(path) == kImages ? image_pattern(path) : std::nullopt;
}

bool is_output_pattern(const std::string& path) { return output_pattern(path).has_value(); }

Status check_output_name(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (!is_one_line(name)) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "{}: a line break or another control character in its name; choose another", path));
  }
  const std::string extension = extension_of(path);
  if (std::ranges::find(kVideos, extension) != kVideos.end()) return check_length(path, name.size());
  if (extension != kImages) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "{}: outputs end in .mp4, .mkv, .mov, .nut, or _%06d.png for images", path));
  }
  const auto pattern = image_pattern(path);
  if (!pattern) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "{}: a sequence of images needs one frame number in its name, as in out_%06d.png", path));
  }
  if (pattern->prefix.starts_with('.')) {
    return fail(make_error(ErrorCode::kInvalidArgument, "{}: images are not hidden files; choose a name without a dot in front",
                           path));
  }
  return check_length(path, pattern->prefix.size() + std::max(pattern->digits, kFrameDigits) + pattern->suffix.size());
}

}  // namespace kiln
