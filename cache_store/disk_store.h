// The store in a folder of this machine; README.md of this folder holds its format.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "cache_store/blob_store.h"
#include "cache_store/trusted_keys.h"

namespace kiln::cache {

inline constexpr std::uint64_t kStoreBudgetBytes = 20ULL << 30U;
inline constexpr std::size_t kQuarantineFilesMax = 32;
inline constexpr std::uint64_t kQuarantineBytesMax = 1ULL << 30U;
// How long a fresh blob that nobody has pinned is kept: whoever sent it is about to.
inline constexpr std::int64_t kUploadGraceS = 600;
// Hashed when first opened after the start; larger ones would keep a reader waiting, and are left to scrub_one().
inline constexpr std::uint64_t kVerifyOnOpenBytesMax = 256ULL << 20U;

struct DiskStoreOptions {
  std::string root;  // made when missing
  TrustedKeys trusted;
  std::uint64_t budget_bytes = kStoreBudgetBytes;
  bool evicts = false;  // make room for what is new; false: what is beyond the budget is refused
  std::int64_t upload_grace_s = kUploadGraceS;
  std::function<std::int64_t()> now_unix_s;        // empty: the system's clock
  std::function<void(const StoreEvent&)> on_event; // called without locks, from the thread that saw it
};

// Takes the store's lock, sweeps temp files, counts what is there. A second opener gets kAborted (exit code
// 75) and a line that names the folder. The store keeps `files` by reference: it outlives the store.
[[nodiscard]] Result<std::unique_ptr<LocalStore>> open_disk_store(FileSystem& files, DiskStoreOptions options);

}  // namespace kiln::cache
