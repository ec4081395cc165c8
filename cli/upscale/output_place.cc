#include "cli/upscale/output_place.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <set>

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

Status check_folder(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return fail(output_unwritable("{}: no such folder; make it first", folder));
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail(output_unwritable("{}: may not be written; choose another folder", folder));
  }
  return {};
}

// Whether images of that pattern lie there already.
bool sequence_exists(const std::string& pattern) {
  const std::string name = fs::path(pattern).filename().string();
  const std::string before = name.substr(0, name.find('%'));
  const std::string after = name.substr(name.find('d', name.find('%')) + 1);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_of(pattern), error)) {
    const std::string file = entry.path().filename().string();
    if (file.size() > before.size() + after.size() && file.starts_with(before) && file.ends_with(after)) return true;
  }
  return false;
}

// In the temporary folder of a sequence that is whole: its images are being moved.
constexpr std::string_view kMovingName = ".moving";

}  // namespace

bool is_image_pattern(std::string_view path) {
  const auto percent = path.rfind('%');
  return percent != std::string_view::npos && path.find('d', percent) != std::string_view::npos;
}

Result<OutputPlace> OutputPlace::reserve(const std::string& output, const std::string& job, bool overwrite) {
  OutputPlace place;
  place.output_ = output;
  const std::string folder = folder_of(output);
  KILN_TRY(check_folder(folder));
  const std::string name = fs::path(output).filename().string();
  std::error_code error;
  const bool pattern = is_image_pattern(name);
  const std::string part = ".kiln-" + job.substr(0, 8) + "-part";
  // Images that an earlier run of this very job put there before it was ended are not in the way.
  const bool ours = pattern && fs::exists(folder + "/" + part + "/" + std::string(kMovingName), error);
  const bool exists = pattern ? !ours && sequence_exists(output) : fs::exists(output, error);
  if (!pattern && fs::is_directory(output, error)) {
    return fail(output_unwritable("{}: is a folder; name a file in it", output));
  }
  if (exists && !overwrite) {
    return fail(output_unwritable("{}: exists already; choose another name or give --overwrite", output));
  }
  if (pattern) {
    place.temporary_folder_ = folder + "/" + part;
    place.temporary_ = place.temporary_folder_ + "/" + name;
    fs::remove_all(place.temporary_folder_, error);
    if (!fs::create_directory(place.temporary_folder_, error)) {
      return fail(output_unwritable("{}: {}", place.temporary_folder_, error.message()));
    }
  } else {
    place.temporary_ = folder + "/" + part + "-" + name;
    fs::remove(place.temporary_, error);
  }
  return place;
}

Status OutputPlace::commit(FileSystem& files) const {
  const std::string folder = folder_of(output_);
  if (temporary_folder_.empty()) {
    KILN_TRY(files.sync_file(temporary_));
    KILN_TRY(files.rename(temporary_, output_));
    return files.sync_directory(folder);
  }
  KILN_TRY_ASSIGN(const auto names, files.list(temporary_folder_));
  KILN_TRY(files.create_exclusive(temporary_folder_ + "/" + std::string(kMovingName), 0644));
  KILN_TRY(files.sync_directory(temporary_folder_));
  for (const std::string& name : names) {
    KILN_TRY(files.rename(temporary_folder_ + "/" + name, folder + "/" + name));
  }
  discard();
  return files.sync_directory(folder);
}

void OutputPlace::discard() const {
  std::error_code error;
  if (!temporary_folder_.empty()) {
    fs::remove_all(temporary_folder_, error);
  } else {
    fs::remove(temporary_, error);
  }
}

namespace {

std::string extension_for(const std::string& source, const std::string& codec) {
  static const std::set<std::string> kKept = {".mp4", ".mov", ".mkv", ".nut"};
  if (!kKept.contains(source)) return ".mkv";
  const bool studio = codec == "ffv1" || codec == "prores" || codec == "png";
  if (source == ".mp4" && studio) return codec == "prores" ? ".mov" : ".mkv";
  return source == ".mov" && codec == "av1" ? ".mp4" : source;
}

}  // namespace

std::vector<std::string> output_names(const std::vector<std::string>& inputs, const std::string& folder,
                                      const std::string& scale, const std::string& codec) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const std::string& input : inputs) {
    const fs::path path(input);
    const std::string extension = extension_for(path.extension().string(), codec);
    std::string name = path.stem().string() + "_x" + scale + extension;
    for (int n = 2; !taken.insert(name).second; ++n) {
      name = path.stem().string() + "_x" + scale + "_" + std::to_string(n) + extension;
    }
    names.push_back(folder + "/" + name);
  }
  return names;
}

}  // namespace kiln::cli
