// The real disk, until a chosen operation: that one and all after it do not happen, as for a process that was
// killed just before. What was done stays and can be looked at with the real file system; what was asked for, in order,
// is in calls().
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace kiln::test {

class StoppingFileSystem final : public FileSystem {
 public:
  // Operation `n` from now (1 = the next that changes anything) and those after it fail.
  void stop_at(std::uint64_t n) { stop_at_ = operations_ + n; }
  [[nodiscard]] bool stopped() const { return stop_at_ != 0 && operations_ >= stop_at_; }

  [[nodiscard]] const std::vector<std::string>& calls() const { return calls_; }

  Result<std::unique_ptr<WritableFile>> create_exclusive(const std::string& path, std::uint32_t mode) override {
    KILN_TRY(begin("create_exclusive", path));
    return real_.create_exclusive(path, mode);
  }
  Result<UniqueFd> open_for_read(const std::string& path) override { return real_.open_for_read(path); }
  Status rename(const std::string& from, const std::string& to) override {
    KILN_TRY(begin("rename", from));
    return real_.rename(from, to);
  }
  Status sync_file(const std::string& path) override {
    KILN_TRY(begin("sync_file", path));
    return exists(path);
  }
  Status sync_directory(const std::string& path) override {
    KILN_TRY(begin("sync_directory", path));
    return exists(path);
  }
  Status make_directory(const std::string& path, std::uint32_t mode) override {
    KILN_TRY(begin("make_directory", path));
    return real_.make_directory(path, mode);
  }
  Status remove_file(const std::string& path) override {
    KILN_TRY(begin("remove_file", path));
    return real_.remove_file(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override { return real_.list(path); }
  Result<FileInfo> stat(const std::string& path) override { return real_.stat(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return real_.lock(path); }

 private:
  // A process that is killed loses nothing that it wrote: waiting for the disk would only take time.
  Status exists(const std::string& path) {
    KILN_TRY(real_.stat(path));
    return {};
  }
  Status begin(const char* what, const std::string& path) {
    ++operations_;
    calls_.push_back(what + (" " + path));
    if (stopped()) return fail(errno_error(EIO, path));
    return {};
  }

  FileSystem& real_ = posix_file_system();
  std::uint64_t stop_at_ = 0;
  std::uint64_t operations_ = 0;
  std::vector<std::string> calls_;
};

}  // namespace kiln::test
