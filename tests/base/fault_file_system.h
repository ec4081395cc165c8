// A disk in memory that fails as disks do: it loses what was not synced, fills up, returns errors, and stops
// at a chosen operation. After a stop every call fails until restart().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>

#include "base/file_system.h"

namespace kiln::test {

class FaultFileSystem final : public FileSystem {
 public:
  FaultFileSystem();
  ~FaultFileSystem() override;

  // Operation number `n` from now (1 = the next one that changes anything) is done by half or not at all,
  // and nothing after it happens.
  void stop_at(std::uint64_t n);
  // Operation number `n` from now fails with `error`; later ones work.
  void fail_at(std::uint64_t n, int error);
  void limit_bytes(std::uint64_t bytes) { limit_bytes_ = bytes; }  // ENOSPC beyond
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }

  void restart();                         // the process died: all it wrote is there
  void lose_power(std::uint64_t seed);    // what was not synced is there, partly there or gone
  // The file's bytes change behind everybody's back.
  void overwrite(const std::string& path, std::string bytes);
  [[nodiscard]] std::string contents(const std::string& path) const;
  [[nodiscard]] std::map<std::string, std::string> all_files() const;

  Result<std::unique_ptr<WritableFile>> create_exclusive(const std::string& path, std::uint32_t mode) override;
  Result<UniqueFd> open_for_read(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_file(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Status make_directory(const std::string& path, std::uint32_t mode) override;
  Status remove_file(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) override;
  Result<FileInfo> stat(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

 private:
  friend class FaultWritableFile;
  friend class FaultLock;
  struct Inode {
    bool is_directory = false;
    std::uint32_t mode = 0;
    std::int64_t modified_ns = 0;
    std::string bytes;   // what readers see
    std::string synced;  // what survives a loss of power
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  Status begin_locked(const std::string& path);  // counts the operation; an error when it must not happen
  Status append(Inode& inode, const std::string& path, std::span<const std::byte> bytes);
  Status sync(Inode& inode, const std::string& path);
  [[nodiscard]] std::uint64_t used_bytes_locked() const;
  void lose_names_locked(std::mt19937_64& random);

  mutable std::mutex mutex_;
  Names names_;    // as the running system sees them
  Names durable_;  // as they are after a loss of power, when nothing un-synced happens to survive
  std::set<std::string> locks_;
  std::uint64_t generation_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t stop_at_ = 0;
  std::uint64_t fail_at_ = 0;
  int fail_with_ = 0;
  bool stopped_ = false;
  std::uint64_t limit_bytes_ = ~std::uint64_t{0};
  std::int64_t clock_ns_ = 0;
};

}  // namespace kiln::test
