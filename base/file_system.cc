#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/check.h"

namespace kiln {
namespace {

constexpr std::size_t kLockNoteBytesMax = 32;  // the holder's process id, for the message

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status append(std::span<const std::byte> bytes) override {
    return named(write_fully(fd_.get(), bytes));
  }
  Status sync() override {
    if (::fsync(fd_.get()) != 0) return fail(errno_error(errno, path_));
    return {};
  }
  Status close() override {
    if (::close(fd_.release()) != 0) return fail(errno_error(errno, path_));
    return {};
  }

 private:
  Status named(Status status) const {
    if (!status) return fail(status.error().with_context(path_));
    return status;
  }
  UniqueFd fd_;
  std::string path_;
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;  // closing it releases the lock; it is closed on exec, so no child holds it
};

Error lock_is_held(int fd, const std::string& path) {
  std::array<char, kLockNoteBytesMax> note{};
  const ssize_t n = ::pread(fd, note.data(), note.size(), 0);
  const std::string holder(note.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  return make_error(ErrorCode::kAborted, ExitCode::kTryAgain, "{} is held by another command{}", path,
                    holder.empty() ? std::string() : " (process " + holder + ")");
}

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<WritableFile>> create_exclusive(const std::string& path,
                                                         std::uint32_t mode) override {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!fd.valid()) return fail(errno_error(errno, path));
    return std::make_unique<PosixWritableFile>(std::move(fd), path);
  }

  Result<UniqueFd> open_for_read(const std::string& path) override {
    // O_NONBLOCK: opening a FIFO that somebody put there would otherwise wait for a writer.
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return fail(errno_error(errno, path));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return fail(errno_error(errno, path));
    if (!S_ISREG(info.st_mode)) {
      return fail(make_error(ErrorCode::kFailedPrecondition, "{} is not a regular file", path));
    }
    return fd;
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return fail(errno_error(errno, to));
    return {};
  }

  Status sync_file(const std::string& path) override { return sync_path(path, O_RDONLY | O_NONBLOCK); }
  Status sync_directory(const std::string& path) override {
    return sync_path(path, O_RDONLY | O_DIRECTORY);
  }

  Status make_directory(const std::string& path, std::uint32_t mode) override {
    if (::mkdir(path.c_str(), mode) == 0) return {};
    const int error = errno;
    struct stat info {};
    if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return fail(errno_error(error, path));
  }

  Status remove_file(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return fail(errno_error(errno, path));
    return {};
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder) return fail(errno_error(errno, path));
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(folder.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    if (errno != 0) return fail(errno_error(errno, path));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<FileInfo> stat(const std::string& path) override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) return fail(errno_error(errno, path));
    return FileInfo{static_cast<std::uint64_t>(info.st_size), S_ISDIR(info.st_mode),
                    S_ISREG(info.st_mode), static_cast<std::uint32_t>(info.st_mode) & 07777U,
                    std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd.valid()) return fail(errno_error(errno, path));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return fail(lock_is_held(fd.get(), path));
      return fail(errno_error(errno, path));
    }
    // The note only serves the message above: when it cannot be written (disk full) the lock still holds.
    const std::string note = std::to_string(::getpid());
    if (::ftruncate(fd.get(), 0) == 0) {
      [[maybe_unused]] const ssize_t n = ::pwrite(fd.get(), note.data(), note.size(), 0);
    }
    return std::make_unique<PosixFileLock>(std::move(fd));
  }

 private:
  static Status sync_path(const std::string& path, int flags) {
    const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
    if (!fd.valid()) return fail(errno_error(errno, path));
    if (::fsync(fd.get()) != 0) return fail(errno_error(errno, path));
    return {};
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem files;  // stateless
  return files;
}

std::string parent_directory(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status make_directories(FileSystem& files, const std::string& path, std::uint32_t mode) {
  if (path.empty() || path == "." || path == "/") return {};
  const std::string parent = parent_directory(path);
  if (auto info = files.stat(path); info && info->is_directory) {
    // Whoever made it may have died before it was durable. A parent that we may not open is not of our making.
    const Status synced = files.sync_directory(parent);
    return synced || synced.error().code == ErrorCode::kPermissionDenied ? Status() : synced;
  }
  KILN_TRY(make_directories(files, parent, mode));
  KILN_TRY(files.make_directory(path, mode));
  return files.sync_directory(parent);
}

std::string random_temp_name() {
  std::array<unsigned char, 16> bits{};
  KILN_CHECK(::getrandom(bits.data(), bits.size(), 0) == static_cast<ssize_t>(bits.size()),
             "the system has no random numbers");
  std::string name;
  for (const unsigned char byte : bits) name += fmt::format("{:02x}", byte);
  return name + ".tmp";
}

}  // namespace kiln
