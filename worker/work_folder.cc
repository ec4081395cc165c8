#include "worker/work_folder.h"

#include <unistd.h>

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/file_system.h"

namespace kiln::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kKeptPrefix = "headers-";
constexpr std::string_view kPlainCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+";

Error folder_error(const std::string& folder, const std::error_code& error) {
  return io_error("work folder of the compile child '{}': {}; make room or name another --state", folder,
                  error.message());
}

Status empty(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (!entries->path().filename().string().starts_with(kKeptPrefix)) fs::remove_all(entries->path(), error);
  }
  if (!error) fs::create_directories(folder / "tmp", error);
  if (error) return fail(folder_error(folder.string(), error));
  return {};
}

}  // namespace

Result<WorkFolder> WorkFolder::open(const std::string& folder) {
  std::error_code error;
  const fs::path absolute = fs::absolute(folder, error);
  if (error) return fail(folder_error(folder, error));
  KILN_TRY(empty(absolute));
  WorkFolder work;
  work.path_ = absolute.string();
  if (work.path_.find_first_not_of(kPlainCharacters) == std::string::npos) return work;
  const fs::path link = fs::path("/tmp") / ("kiln-compile-" + random_temp_name());
  fs::create_directory_symlink(absolute, link, error);
  if (error) return fail(folder_error(link.string(), error));
  work.link_ = link.string();
  work.path_ = work.link_;
  return work;
}

WorkFolder::WorkFolder(WorkFolder&& other) noexcept
    : path_(std::move(other.path_)), link_(std::exchange(other.link_, {})) {}

WorkFolder& WorkFolder::operator=(WorkFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(link_, other.link_);
  return *this;
}

WorkFolder::~WorkFolder() {
  if (!link_.empty()) ::unlink(link_.c_str());
}

}  // namespace kiln::worker
