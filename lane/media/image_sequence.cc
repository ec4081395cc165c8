#include "lane/media/image_sequence.h"

#include <fnmatch.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

#include "base/image_pattern.h"

namespace kiln::lane {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxImages = 10'000'000;
constexpr std::array<std::string_view, 13> kExtensions{"png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp",
                                                       "exr", "dpx", "ppm",  "pgm", "tga",  "jp2"};

bool is_image_name(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || name.starts_with('.')) return false;
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "a9" before "a10": runs of digits compare as numbers.
bool natural_less(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (!is_digit(a[0]) || !is_digit(b[0])) {
      if (a[0] != b[0]) return a[0] < b[0];
      a.remove_prefix(1);
      b.remove_prefix(1);
      continue;
    }
    const auto digits = [](std::string_view& text) {
      const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
      std::string_view run = text.substr(0, end);
      text.remove_prefix(end);
      while (run.size() > 1 && run[0] == '0') run.remove_prefix(1);
      return run;
    };
    const std::string_view left = digits(a);
    const std::string_view right = digits(b);
    if (left.size() != right.size()) return left.size() < right.size();
    if (left != right) return left < right;
  }
  return a.size() < b.size();
}

std::optional<std::uint64_t> number_in(const ImagePattern& pattern, std::string_view name) {
  if (!name.starts_with(pattern.prefix) || !name.ends_with(pattern.suffix)) return std::nullopt;
  if (name.size() <= pattern.prefix.size() + pattern.suffix.size()) return std::nullopt;
  const std::string_view middle =
      name.substr(pattern.prefix.size(), name.size() - pattern.prefix.size() - pattern.suffix.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(middle.data(), middle.data() + middle.size(), number);
  if (error != std::errc() || end != middle.data() + middle.size()) return std::nullopt;
  return middle.size() >= pattern.digits ? std::optional(number) : std::nullopt;
}

Result<std::vector<std::string>> names_in(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entries(folder.empty() ? "." : folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (names.size() >= kMaxImages) return fail(input_refused("{}: too many files", folder));
    names.push_back(entries->path().filename().string());
  }
  if (error) return fail(input_missing("{}: {}", folder.empty() ? "." : folder, error.message()));
  return names;
}

Result<std::vector<std::string>> by_number(const ImagePattern& pattern, const std::string& path,
                                           const std::vector<std::string>& names) {
  std::vector<std::pair<std::uint64_t, std::string>> numbered;
  for (const auto& name : names) {
    if (const auto number = number_in(pattern, name)) numbered.emplace_back(*number, name);
  }
  std::sort(numbered.begin(), numbered.end());
  std::vector<std::string> sorted;
  for (std::size_t i = 0; i < numbered.size(); ++i) {
    if (i > 0 && numbered[i].first != numbered[i - 1].first + 1) {
      return fail(input_refused("{}: number {} is missing or double; number the images without gaps, or name "
                                "them with * instead of %d",
                                path, numbered[i - 1].first + 1));
    }
    sorted.push_back(std::move(numbered[i].second));
  }
  return sorted;
}

}  // namespace

bool is_image_source(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (fs::is_directory(status)) return true;
  if (fs::exists(status)) return is_image_name(fs::path(path).filename().string());
  return path.find_first_of("%*?[") != std::string::npos;
}

Result<std::vector<std::string>> list_images(const std::string& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return std::vector<std::string>{path};
  const bool folder = fs::is_directory(path, error);
  const std::string parent = folder ? path : fs::path(path).parent_path().string();
  const std::string name = folder ? "" : fs::path(path).filename().string();
  KILN_TRY_ASSIGN(const std::vector<std::string> names, names_in(parent));
  std::vector<std::string> chosen;
  if (const auto pattern = image_pattern(name); !folder && pattern) {
    KILN_TRY_ASSIGN(chosen, by_number(*pattern, path, names));
  } else {
    for (const auto& candidate : names) {
      const bool wanted =
          folder ? is_image_name(candidate) : ::fnmatch(name.c_str(), candidate.c_str(), FNM_PERIOD) == 0;
      if (wanted) chosen.push_back(candidate);
    }
    std::sort(chosen.begin(), chosen.end(), natural_less);
  }
  if (chosen.empty()) return fail(input_missing("{}: no images there", path));
  for (auto& file : chosen) {
    if (file.find('\n') != std::string::npos) return fail(input_refused("{}: a line break in a name", path));
    file = parent.empty() ? file : parent + "/" + file;
  }
  return chosen;
}

std::string concat_list(const std::vector<std::string>& files, std::size_t first, std::size_t end) {
  std::string list = "ffconcat version 1.0\n";
  for (std::size_t i = first; i < end && i < files.size(); ++i) {
    std::string quoted;
    for (const char c : fs::absolute(files[i]).string()) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    list += "file 'file:" + quoted + "'\nduration 0.04\n";
  }
  return list;
}

}  // namespace kiln::lane
