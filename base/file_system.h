// The one interface through which durable state is written. Posix in production; in tests one that
// loses un-synced bytes, runs out of space and dies at a chosen operation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace kiln {

struct FileInfo {
  std::uint64_t size_bytes = 0;
  bool is_directory = false;
  bool is_regular = false;  // false also for symbolic links, which stat() does not follow
  std::uint32_t mode = 0;  // permission bits only
  std::int64_t modified_ns = 0;
};

// A new file that is being written, front to back. Destroying it without close() leaves the bytes
// that were appended, un-synced. One owner, not thread-safe.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  [[nodiscard]] virtual Status append(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Status sync() = 0;  // fsync: the bytes survive a loss of power, the name may not
  [[nodiscard]] virtual Status close() = 0;
};

// Held while it lives; the kernel drops it when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Calls may come from any thread. Paths are used as given; names in results are without their folder.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // kAlreadyExists when the path is taken. Follows no symbolic link at the last component.
  [[nodiscard]] virtual Result<std::unique_ptr<WritableFile>> create_exclusive(const std::string& path,
                                                                               std::uint32_t mode) = 0;
  // A regular file for reading; kNotFound when absent. Follows no symbolic link at the last component.
  [[nodiscard]] virtual Result<UniqueFd> open_for_read(const std::string& path) = 0;
  // Replaces `to` in one step. Durable only after sync_directory() of the folder of `to`.
  [[nodiscard]] virtual Status rename(const std::string& from, const std::string& to) = 0;
  [[nodiscard]] virtual Status sync_file(const std::string& path) = 0;
  [[nodiscard]] virtual Status sync_directory(const std::string& path) = 0;
  [[nodiscard]] virtual Status make_directory(const std::string& path, std::uint32_t mode) = 0;  // ok when there
  [[nodiscard]] virtual Status remove_file(const std::string& path) = 0;  // kNotFound when absent
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& path) = 0;  // sorted
  [[nodiscard]] virtual Result<FileInfo> stat(const std::string& path) = 0;
  // Exclusive between processes and within one. kAborted (exit code 75) when somebody holds it.
  [[nodiscard]] virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

// The real one; lives as long as the program.
[[nodiscard]] FileSystem& posix_file_system();

// "a/b" -> "a"; "b" -> "."; "/b" -> "/".
[[nodiscard]] std::string parent_directory(const std::string& path);

// Folder and missing parents, each synced into its parent before the next is made.
[[nodiscard]] Status make_directories(FileSystem& files, const std::string& path, std::uint32_t mode = 0755);

// A name that no other process or thread will choose: `<128 random bits in hex>.tmp`.
[[nodiscard]] std::string random_temp_name();

}  // namespace kiln
