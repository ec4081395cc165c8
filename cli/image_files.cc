#include "cli/image_files.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <filesystem>

#include "base/sha256.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::error_code unreadable;
    if (entries->is_regular_file(unreadable)) names.push_back(entries->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string file_state(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) return {};
  const auto changed = fs::last_write_time(path, error).time_since_epoch().count();
  return fmt::format("{} bytes, changed {}", bytes, changed);
}

std::string files_state(const std::string& folder, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  Sha256 hash;
  for (const std::string& name : names) {
    const std::string state = file_state(folder + "/" + name);
    hash.update(fmt::format("{}:{}{}:{}", name.size(), name, state.size(), state));
  }
  return fmt::format("{} images, {}", names.size(), hash.finish().hex());
}

// What the source's last part means, as lanes read it: all images of a folder, a number, or a shell pattern.
bool is_of_source(const std::string& source_name, const std::string& name) {
  if (source_name.empty()) return !name.starts_with('.');
  if (const auto pattern = image_pattern(source_name)) return pattern->holds(name);
  return ::fnmatch(source_name.c_str(), name.c_str(), FNM_PERIOD) == 0;
}

bool is_of_output(const std::string& output, const std::string& name) {
  const auto pattern = output_pattern(output);
  return pattern ? pattern->holds(name) : fs::path(output).filename() == name;
}

}  // namespace

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

std::vector<std::string> images_among(const std::vector<std::string>& names, const ImagePattern& pattern) {
  std::vector<std::string> images;
  std::copy_if(names.begin(), names.end(), std::back_inserter(images),
               [&](const std::string& name) { return pattern.holds(name); });
  return images;
}

std::vector<std::string> images_at(const std::string& pattern) {
  const auto parsed = output_pattern(pattern);
  return parsed ? images_among(files_in(folder_of(pattern)), *parsed) : std::vector<std::string>();
}

std::string output_state(const std::string& output) {
  if (!is_output_pattern(output)) return file_state(output);
  return files_state(folder_of(output), images_at(output));
}

Result<std::string> source_state(const std::string& source, const std::string& output) {
  std::error_code error;
  const bool is_folder = fs::is_directory(source, error);
  if (!is_folder && fs::exists(source, error)) return file_state(source);
  if (!is_folder && source.find_first_of("%*?[") == std::string::npos) {
    return fail(input_missing("{}: no such file", source));
  }
  const std::string folder = is_folder ? source : folder_of(source);
  const std::string source_name = is_folder ? std::string() : fs::path(source).filename().string();
  const bool beside_output = fs::equivalent(folder, folder_of(output), error);
  std::vector<std::string> names = files_in(folder);
  std::erase_if(names, [&](const std::string& name) {
    return !is_of_source(source_name, name) || (beside_output && is_of_output(output, name));
  });
  return files_state(folder, names);
}

}  // namespace kiln::cli
