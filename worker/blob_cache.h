// Blobs that this host has fetched or made: files named by their content, least recently used ones go first.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "net/farm_values.h"

namespace kiln::worker {

struct BlobCacheStats {
  std::uint64_t used_bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;
  std::uint64_t over_budget = 0;  // times that pinned files alone were more than the budget
  std::uint64_t damaged = 0;      // left by an earlier run, and not what their name says
};

// Keeps a file from being evicted while it lives.
class PinnedBlob {
 public:
  PinnedBlob(std::string path, std::uint64_t bytes) : path_(std::move(path)), bytes_(bytes) {}
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  std::string path_;
  std::uint64_t bytes_;
};
using BlobPin = std::shared_ptr<const PinnedBlob>;

// Any thread. One process for each folder.
class BlobCache {
 public:
  // Unfinished files of an earlier run are removed; finished ones are hashed before they are used again.
  [[nodiscard]] static Result<std::unique_ptr<BlobCache>> open(const std::string& folder, std::uint64_t budget_bytes);

  [[nodiscard]] BlobPin find(const net::BlobRef& blob);  // nullptr: not here
  [[nodiscard]] std::string temporary_path();            // for a file that adopt() then takes
  // Takes a file whose content the caller has checked. It is pinned beyond the budget if need be.
  [[nodiscard]] Result<BlobPin> adopt(const net::BlobRef& blob, const std::string& file);

  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_bytes_; }
  [[nodiscard]] BlobCacheStats stats() const;

 private:
  struct Entry {
    BlobPin blob;
    bool checked = false;
    std::uint64_t used_at = 0;  // counts uses
  };
  BlobCache(std::string folder, std::uint64_t budget_bytes) : folder_(std::move(folder)), budget_bytes_(budget_bytes) {}
  [[nodiscard]] std::string path_of(const std::string& sha256) const { return folder_ + "/" + sha256; }
  [[nodiscard]] Status take_stock();
  void make_room();
  void remove(const std::string& sha256);

  const std::string folder_;
  const std::uint64_t budget_bytes_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::uint64_t uses_ = 0;
  BlobCacheStats stats_;
};

}  // namespace kiln::worker
