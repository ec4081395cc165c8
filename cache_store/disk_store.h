// The store in a folder of this machine; README.md of this folder holds its format.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/file_system.h"
#include "cache_store/store.h"
#include "cache_store/trusted_keys.h"

namespace kiln::cache {

inline constexpr std::uint64_t kStoreBudgetBytes = 20ULL << 30U;
inline constexpr std::size_t kQuarantineFilesMax = 32;
inline constexpr std::uint64_t kQuarantineBytesMax = 1ULL << 30U;

struct DiskStoreOptions {
  std::string root;  // made when missing
  TrustedKeys trusted;
  std::uint64_t budget_bytes = kStoreBudgetBytes;  // a publish beyond it is refused
  std::function<std::int64_t()> now_unix_s;        // empty: the system's clock
  std::function<void(const StoreEvent&)> on_event; // called without locks, from the thread that saw it
};

// Takes the store's lock, sweeps temp files, counts what is there. A second opener gets kAborted (exit code
// 75) and a line that names the folder. The store keeps `files` by reference: it outlives the store.
[[nodiscard]] Result<std::unique_ptr<Store>> open_disk_store(FileSystem& files, DiskStoreOptions options);

}  // namespace kiln::cache
