#include "worker/blob_cache.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/sha256.h"

namespace kiln::worker {
namespace {

namespace fs = std::filesystem;

bool is_as_named(const std::string& path, const net::BlobRef& blob) {
  auto fd = posix_file_system().open_for_read(path);
  if (!fd) return false;
  const auto digest = sha256_of_fd(fd->get());
  return digest && digest->hex() == blob.sha256;
}

}  // namespace

Result<std::unique_ptr<BlobCache>> BlobCache::open(const std::string& folder, std::uint64_t budget_bytes) {
  KILN_TRY(make_directories(posix_file_system(), folder, 0700));
  KILN_TRY_ASSIGN([[maybe_unused]] const std::uint64_t swept, sweep_temp_files(posix_file_system(), folder));
  auto cache = std::unique_ptr<BlobCache>(new BlobCache(folder, budget_bytes));
  KILN_TRY(cache->take_stock());
  return cache;
}

Status BlobCache::take_stock() {
  FileSystem& files = posix_file_system();
  KILN_TRY_ASSIGN(const auto names, files.list(folder_));
  for (const std::string& name : names) {
    if (!Digest::from_hex(name)) continue;
    KILN_TRY_ASSIGN(const FileInfo info, files.stat(path_of(name)));
    entries_[name] = {std::make_shared<PinnedBlob>(path_of(name), info.size_bytes), false, 0};
    stats_.used_bytes += info.size_bytes;
  }
  make_room();
  return {};
}

BlobPin BlobCache::find(const net::BlobRef& blob) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(blob.sha256);
    if (found == entries_.end()) {
      ++stats_.misses;
      return nullptr;
    }
    found->second.used_at = ++uses_;
    if (found->second.checked) {
      ++stats_.hits;
      return found->second.blob;
    }
  }
  // Left by an earlier run, which may have been cut off with the power. Hashed with no lock held; twice does no harm.
  const bool good = is_as_named(path_of(blob.sha256), blob);
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(blob.sha256);
  if (found == entries_.end()) return nullptr;
  if (!good) {
    ++stats_.damaged;
    remove(blob.sha256);
    return nullptr;
  }
  found->second.checked = true;
  ++stats_.hits;
  return found->second.blob;
}

std::string BlobCache::temporary_path() { return folder_ + "/" + random_temp_name(); }

Result<BlobPin> BlobCache::adopt(const net::BlobRef& blob, const std::string& file) {
  const std::lock_guard lock(mutex_);
  const std::string path = path_of(blob.sha256);
  if (std::rename(file.c_str(), path.c_str()) != 0) return fail(errno_error(errno, path));
  Entry& entry = entries_[blob.sha256];
  if (!entry.blob) {
    entry.blob = std::make_shared<PinnedBlob>(path, blob.bytes);
    stats_.used_bytes += blob.bytes;
  }
  entry.checked = true;
  entry.used_at = ++uses_;
  BlobPin pin = entry.blob;
  make_room();
  return pin;
}

void BlobCache::remove(const std::string& sha256) {
  const auto found = entries_.find(sha256);
  stats_.used_bytes -= found->second.blob->bytes();
  entries_.erase(found);
  std::remove(path_of(sha256).c_str());
}

void BlobCache::make_room() {
  while (stats_.used_bytes > budget_bytes_) {
    const std::pair<const std::string, Entry>* oldest = nullptr;
    for (const auto& entry : entries_) {
      if (entry.second.blob.use_count() > 1) continue;
      if (oldest == nullptr || entry.second.used_at < oldest->second.used_at) oldest = &entry;
    }
    if (oldest == nullptr) {
      ++stats_.over_budget;
      return;
    }
    ++stats_.evictions;
    remove(std::string(oldest->first));
  }
}

BlobCacheStats BlobCache::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace kiln::worker
