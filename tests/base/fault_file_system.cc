#include "tests/base/fault_file_system.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace kiln::test {

// Outlives restarts: a file that an earlier process had open writes into an inode that nobody sees.
class FaultWritableFile final : public WritableFile {
 public:
  FaultWritableFile(FaultFileSystem& files, std::shared_ptr<FaultFileSystem::Inode> inode, std::string path)
      : files_(files), inode_(std::move(inode)), path_(std::move(path)) {}
  Status append(std::span<const std::byte> bytes) override { return files_.append(*inode_, path_, bytes); }
  Status sync() override { return files_.sync(*inode_, path_); }
  Status close() override { return {}; }

 private:
  FaultFileSystem& files_;
  std::shared_ptr<FaultFileSystem::Inode> inode_;
  std::string path_;
};

class FaultLock final : public FileLock {
 public:
  FaultLock(FaultFileSystem& files, std::string path, std::uint64_t generation)
      : files_(files), path_(std::move(path)), generation_(generation) {}
  ~FaultLock() override {
    const std::lock_guard guard(files_.mutex_);
    if (generation_ == files_.generation_) files_.locks_.erase(path_);
  }

 private:
  FaultFileSystem& files_;
  std::string path_;
  std::uint64_t generation_;
};

FaultFileSystem::FaultFileSystem() {
  auto root = std::make_shared<Inode>();
  root->is_directory = true;
  names_["/"] = root;
  durable_ = names_;
}
FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::stop_at(std::uint64_t n) {
  const std::lock_guard guard(mutex_);
  stop_at_ = n == 0 ? 0 : operations_ + n;
}

void FaultFileSystem::fail_at(std::uint64_t n, int error) {
  const std::lock_guard guard(mutex_);
  fail_at_ = operations_ + n;
  fail_with_ = error;
}

Status FaultFileSystem::begin_locked(const std::string& path) {
  if (!stopped_) ++operations_;
  if (operations_ == stop_at_) stopped_ = true;
  if (stopped_) return fail(make_error(ErrorCode::kUnavailable, "{}: the simulated machine has stopped", path));
  if (operations_ == fail_at_) return fail(errno_error(fail_with_, path));
  ++clock_ns_;
  return {};
}

std::uint64_t FaultFileSystem::used_bytes_locked() const {
  std::uint64_t total = 0;
  for (const auto& [path, inode] : names_) total += inode->bytes.size();
  return total;
}

Status FaultFileSystem::append(Inode& inode, const std::string& path, std::span<const std::byte> bytes) {
  const std::lock_guard guard(mutex_);
  const bool was_stopped = stopped_;
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Status allowed = begin_locked(path);
  if (!allowed) {
    if (!was_stopped) inode.bytes += text.substr(0, text.size() / 2);  // a short write
    return allowed;
  }
  const std::uint64_t used = used_bytes_locked();
  const std::uint64_t room = used < limit_bytes_ ? limit_bytes_ - used : 0;
  inode.bytes += text.substr(0, room);
  if (room < text.size()) return fail(errno_error(ENOSPC, path));
  return {};
}

Status FaultFileSystem::sync(Inode& inode, const std::string& path) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(path));
  inode.synced = inode.bytes;
  return {};
}

Result<std::unique_ptr<WritableFile>> FaultFileSystem::create_exclusive(const std::string& path,
                                                                        std::uint32_t mode) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(path));
  if (names_.contains(path)) return fail(errno_error(EEXIST, path));
  if (!names_.contains(parent_directory(path))) return fail(errno_error(ENOENT, path));
  auto inode = std::make_shared<Inode>();
  inode->mode = mode;
  inode->modified_ns = clock_ns_;
  names_[path] = inode;
  return std::make_unique<FaultWritableFile>(*this, inode, path);
}

Result<UniqueFd> FaultFileSystem::open_for_read(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto at = names_.find(path);
  if (at == names_.end()) return fail(errno_error(ENOENT, path));
  if (at->second->is_directory) {
    return fail(make_error(ErrorCode::kFailedPrecondition, "{} is not a regular file", path));
  }
  UniqueFd fd(::memfd_create("fault", MFD_CLOEXEC));
  KILN_TRY(write_fully(fd.get(), std::as_bytes(std::span(at->second->bytes))));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0 || ::fchmod(fd.get(), at->second->mode) != 0) {
    return fail(errno_error(errno, path));
  }
  return fd;
}

Status FaultFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(to));
  const auto at = names_.find(from);
  if (at == names_.end() || !names_.contains(parent_directory(to))) return fail(errno_error(ENOENT, to));
  names_[to] = at->second;
  names_.erase(from);
  return {};
}

Status FaultFileSystem::sync_file(const std::string& path) {
  std::shared_ptr<Inode> inode;
  {
    const std::lock_guard guard(mutex_);
    const auto at = names_.find(path);
    if (at == names_.end()) return fail(errno_error(ENOENT, path));
    inode = at->second;
  }
  return sync(*inode, path);
}

Status FaultFileSystem::sync_directory(const std::string& path) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(path));
  if (!names_.contains(path)) return fail(errno_error(ENOENT, path));
  std::erase_if(durable_, [&](const auto& item) {
    return item.first != "/" && parent_directory(item.first) == path && !names_.contains(item.first);
  });
  for (const auto& [name, inode] : names_) {
    if (name != "/" && parent_directory(name) == path) durable_[name] = inode;
  }
  return {};
}

Status FaultFileSystem::make_directory(const std::string& path, std::uint32_t mode) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(path));
  if (const auto at = names_.find(path); at != names_.end()) {
    return at->second->is_directory ? Status() : Status(fail(errno_error(EEXIST, path)));
  }
  if (!names_.contains(parent_directory(path))) return fail(errno_error(ENOENT, path));
  auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  inode->mode = mode;
  names_[path] = inode;
  return {};
}

Status FaultFileSystem::remove_file(const std::string& path) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(path));
  if (names_.erase(path) == 0) return fail(errno_error(ENOENT, path));
  return {};
}

Result<std::vector<std::string>> FaultFileSystem::list(const std::string& path) {
  const std::lock_guard guard(mutex_);
  if (!names_.contains(path)) return fail(errno_error(ENOENT, path));
  std::vector<std::string> found;
  for (const auto& [name, inode] : names_) {
    if (name != "/" && parent_directory(name) == path) found.push_back(name.substr(name.find_last_of('/') + 1));
  }
  return found;
}

Result<FileInfo> FaultFileSystem::stat(const std::string& path) {
  const std::lock_guard guard(mutex_);
  const auto at = names_.find(path);
  if (at == names_.end()) return fail(errno_error(ENOENT, path));
  const Inode& inode = *at->second;
  return FileInfo{inode.bytes.size(), inode.is_directory, !inode.is_directory, inode.mode, inode.modified_ns};
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::lock(const std::string& path) {
  const std::lock_guard guard(mutex_);
  KILN_TRY(begin_locked(path));
  if (!locks_.insert(path).second) {
    return fail(make_error(ErrorCode::kAborted, ExitCode::kTryAgain, "{} is held by another command", path));
  }
  if (!names_.contains(path)) names_[path] = std::make_shared<Inode>();
  return std::make_unique<FaultLock>(*this, path, generation_);
}

void FaultFileSystem::restart() {
  const std::lock_guard guard(mutex_);
  stopped_ = false;
  stop_at_ = 0;
  fail_at_ = 0;
  locks_.clear();
  ++generation_;
}

// Each change of a name that was not synced may or may not have reached the disk, on its own.
void FaultFileSystem::lose_names_locked(std::mt19937_64& random) {
  std::set<std::string> all;
  for (const auto& [path, inode] : names_) all.insert(path);
  for (const auto& [path, inode] : durable_) all.insert(path);
  Names after;
  for (const std::string& path : all) {  // sorted: parents first
    const auto now = names_.find(path);
    const auto then = durable_.find(path);
    const std::shared_ptr<Inode> as_seen = now == names_.end() ? nullptr : now->second;
    const std::shared_ptr<Inode> as_synced = then == durable_.end() ? nullptr : then->second;
    const std::shared_ptr<Inode> kept = (random() % 2 == 0) ? as_synced : as_seen;
    if (kept && (path == "/" || after.contains(parent_directory(path)))) after[path] = kept;
  }
  names_ = after;
}

void FaultFileSystem::lose_power(std::uint64_t seed) {
  restart();
  const std::lock_guard guard(mutex_);
  std::mt19937_64 random(seed);
  lose_names_locked(random);
  for (const auto& [path, inode] : names_) {
    if (inode->bytes == inode->synced) continue;
    const std::size_t size = inode->bytes.size();
    switch (random() % 4) {
      case 0: inode->bytes = inode->synced; break;
      case 1: inode->bytes.resize(size == 0 ? 0 : random() % size); break;
      case 2: inode->bytes.assign(size, '\0'); break;  // length reached the disk, data did not
      default: break;
    }
    inode->synced = inode->bytes;
  }
  durable_ = names_;
}

void FaultFileSystem::overwrite(const std::string& path, std::string bytes) {
  const std::lock_guard guard(mutex_);
  Inode& inode = *names_.at(path);
  inode.bytes = inode.synced = std::move(bytes);
}

std::string FaultFileSystem::contents(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  return names_.at(path)->bytes;
}

std::map<std::string, std::string> FaultFileSystem::all_files() const {
  const std::lock_guard guard(mutex_);
  std::map<std::string, std::string> files;
  for (const auto& [path, inode] : names_) {
    if (!inode->is_directory) files[path] = inode->bytes;
  }
  return files;
}

}  // namespace kiln::test
