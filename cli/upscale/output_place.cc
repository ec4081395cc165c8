#include "cli/upscale/output_place.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <span>

#include "base/atomic_file.h"
#include "cli/image_files.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

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

// In the temporary folder of a sequence that is whole: its images are being moved. Holds the names of the images of
// an earlier sequence that have to go, each with a zero behind it.
constexpr std::string_view kMovingName = ".moving";
constexpr std::uint64_t kMovingBytesMax = 1ULL << 30U;

std::string part_name(const std::string& job) { return ".kiln-" + job.substr(0, 8) + "-part"; }
std::string part_path(const std::string& output, const std::string& job) {
  return folder_of(output) + "/" + part_name(job);
}
std::string mark_of(const std::string& temporary_folder) { return temporary_folder + "/" + std::string(kMovingName); }

bool is_moving(const std::string& temporary_folder) {
  std::error_code error;
  return fs::exists(mark_of(temporary_folder), error);
}

// Only names of the sequence itself: the file lies where others may write.
std::vector<std::string> read_mark(std::string_view text, const ImagePattern& pattern) {
  std::vector<std::string> names;
  for (std::size_t end = text.find('\0'); end != std::string_view::npos; end = text.find('\0')) {
    names.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return images_among(names, pattern);
}

// May be ended anywhere and called again. The mark goes last, when all else is durable.
Status move_images(FileSystem& files, const std::string& temporary_folder, const std::string& output) {
  const std::string folder = folder_of(output);
  const auto pattern = output_pattern(output);
  KILN_TRY_ASSIGN(const std::string mark, read_file(mark_of(temporary_folder), kMovingBytesMax));
  for (const std::string& name : read_mark(mark, *pattern)) {
    const Status removed = files.remove_file(folder + "/" + name);
    if (!removed && removed.error().code != ErrorCode::kNotFound) return removed;
  }
  KILN_TRY_ASSIGN(const auto names, files.list(temporary_folder));
  for (const std::string& name : images_among(names, *pattern)) {
    KILN_TRY(files.rename(temporary_folder + "/" + name, folder + "/" + name));
  }
  KILN_TRY(files.sync_directory(folder));
  KILN_TRY(files.remove_file(mark_of(temporary_folder)));
  std::error_code error;
  fs::remove_all(temporary_folder, error);  // an empty folder that stays harms nobody
  return {};
}

}  // namespace

Status OutputPlace::complete(FileSystem& files, const std::string& output, const std::string& job) {
  if (!is_output_pattern(output) || !is_moving(part_path(output, job))) return {};
  return move_images(files, part_path(output, job), output);
}

void OutputPlace::remove_leftovers(const std::string& output, const std::string& job) {
  std::error_code error;
  if (is_output_pattern(output)) fs::remove_all(part_path(output, job), error);
}

Result<OutputPlace> OutputPlace::reserve(const std::string& output, const std::string& job, bool overwrite) {
  OutputPlace place;
  place.output_ = output;
  place.overwrite_ = overwrite;
  const std::string folder = folder_of(output);
  KILN_TRY(check_folder(folder));
  const std::string name = fs::path(output).filename().string();
  std::error_code error;
  const bool pattern = is_output_pattern(name);
  const bool exists = pattern ? !images_at(output).empty() : fs::exists(output, error);
  if (!pattern && fs::is_directory(output, error)) {
    return fail(output_unwritable("{}: is a folder; name a file in it", output));
  }
  KILN_TRY(check_output_name(output));
  if (exists && !overwrite) {
    return fail(output_unwritable("{}: exists already; choose another name or give --overwrite", output));
  }
  if (pattern) {
    place.temporary_folder_ = part_path(output, job);
    place.temporary_ = place.temporary_folder_ + "/" + name;
    fs::remove_all(place.temporary_folder_, error);
    if (!fs::create_directory(place.temporary_folder_, error)) {
      return fail(output_unwritable("{}: {}", place.temporary_folder_, error.message()));
    }
  } else {
    place.temporary_ = part_path(output, job);  // what lies there may be all that is left of a result
  }
  return place;
}

Status OutputPlace::commit(FileSystem& files) const {
  if (!temporary_folder_.empty()) return commit_images(files);
  KILN_TRY(files.sync_file(temporary_));
  KILN_TRY(files.rename(temporary_, output_));
  return files.sync_directory(folder_of(output_));
}

// Nothing is moved before all of it would survive a loss of power, the mark included.
Status OutputPlace::commit_images(FileSystem& files) const {
  KILN_TRY_ASSIGN(const auto names, files.list(temporary_folder_));
  const std::vector<std::string> images = images_among(names, *output_pattern(output_));
  if (images.empty()) {
    return fail(make_error(ErrorCode::kInternal, "{}: not one image was made; nothing is in its place", output_));
  }
  for (const std::string& name : images) KILN_TRY(files.sync_file(temporary_folder_ + "/" + name));
  std::string mark;
  for (const std::string& name : overwrite_ ? images_at(output_) : std::vector<std::string>()) {
    if (!std::binary_search(images.begin(), images.end(), name)) mark += name + '\0';
  }
  KILN_TRY(write_file_atomic(files, mark_of(temporary_folder_), std::as_bytes(std::span(mark))));
  KILN_TRY(files.sync_directory(folder_of(output_)));
  return move_images(files, temporary_folder_, output_);
}

void OutputPlace::discard() const {
  std::error_code error;
  if (!temporary_folder_.empty()) {
    if (!is_moving(temporary_folder_)) fs::remove_all(temporary_folder_, error);
  } else {
    fs::remove(temporary_, error);
  }
}

namespace {

// Cameras write .MP4 and .MOV; an .m4v is an MP4.
std::string extension_for(std::string source, const std::string& codec) {
  static const std::set<std::string> kKept = {".mp4", ".mov", ".mkv", ".nut"};
  for (char& c : source) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (source == ".m4v") source = ".mp4";
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
