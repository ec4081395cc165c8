#include "cache_store/near_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file_system.h"
#include "cache_store/store_folders.h"

namespace kiln::cache {
namespace {

constexpr std::uint64_t kFolderAnswerBytesMax = 64U << 10U;
constexpr int kReleaseTries = 7;  // of a question whose answer was lost
constexpr std::chrono::milliseconds kReleasePause{25};
constexpr mode_t kOwnMode = 0600;

std::string target_of(const NearBlob& blob, const std::string& what, const std::string& more = {}) {
  std::string target = "/cas/" + blob.digest.hex() + "/" + what;
  for (const std::string* part : {&more, &blob.query}) {
    if (!part->empty()) target += (target.find('?') == std::string::npos ? "?" : "&") + *part;
  }
  return target;
}

bool nobody_answered(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kDeadlineExceeded;
}

// A store of another folder that is called the same, or an older one.
bool is_another_store(const Error& error) {
  return error.code == ErrorCode::kNotFound || error.code == ErrorCode::kInvalidArgument || error.code == ErrorCode::kUnimplemented;
}

bool is_ours(const std::string& path, mode_t kind, std::uint64_t* bytes = nullptr) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || (info.st_mode & S_IFMT) != kind || info.st_uid != ::geteuid()) return false;
  if (bytes != nullptr) *bytes = static_cast<std::uint64_t>(info.st_size);
  return true;
}

// Asked again until somebody answers: it is gone by the second time.
Status release(net::HttpClient& client, const NearBlob& blob) {
  for (int tries = 1;; ++tries) {
    const auto answer = client.send("PUT", target_of(blob, "released"), {});
    if (answer || (tries > 1 && answer.error().code == ErrorCode::kNotFound)) return {};
    if (tries == kReleaseTries || !nobody_answered(answer.error())) return fail(answer.error());
    std::this_thread::sleep_for(kReleasePause * (1 << tries));  // it may be starting again
  }
}

}  // namespace

Result<std::string> find_near_folder(net::HttpClient& client, const std::string& read_query) {
  const auto answer = client.get("/cas/folder" + (read_query.empty() ? "" : "?" + read_query), kFolderAnswerBytesMax);
  if (!answer && nobody_answered(answer.error())) return fail(answer.error());
  if (!answer) return std::string();
  const auto json = nlohmann::json::parse(answer->body, nullptr, false);
  if (!json.is_object() || !json.contains("folder") || !json["folder"].is_string()) return std::string();
  std::string folder = json["folder"].get<std::string>();
  return folder.starts_with('/') && is_ours(folder, S_IFDIR) ? folder : std::string();
}

Result<bool> give_file(net::HttpClient& client, const std::string& folder, const NearBlob& blob, const std::string& path) {
  const StoreFolders folders(posix_file_system(), folder);
  const std::string name = random_temp_name();
  const std::string temp = folders.temp_folder() + "/" + name;
  if (!is_ours(path, S_IFREG) || ::link(path.c_str(), temp.c_str()) != 0) return false;
  (void)::chmod(temp.c_str(), kOwnMode);
  const auto answer = client.send("PUT", target_of(blob, "given", "name=" + name), {});
  if (answer) return true;
  // Also where it was taken and the answer was lost: then the name is gone, and the blob is there when it is given again.
  ::unlink(temp.c_str());
  if (is_another_store(answer.error())) return false;
  return fail(answer.error());
}

Result<bool> take_file(net::HttpClient& client, const std::string& folder, const NearBlob& blob, const std::string& path) {
  const std::string stored = StoreFolders(posix_file_system(), folder).blob_path(blob.digest);
  std::uint64_t bytes = 0;
  if (!is_ours(stored, S_IFREG, &bytes) || bytes != blob.bytes) return false;
  ::unlink(path.c_str());
  if (::link(stored.c_str(), path.c_str()) != 0) return false;
  Status taken = posix_file_system().sync_directory(parent_directory(path));
  if (taken) taken = release(client, blob);
  if (taken) return true;
  if (nobody_answered(taken.error())) return fail(taken.error());
  ::unlink(path.c_str());  // it is the store's still
  return false;
}

}  // namespace kiln::cache
