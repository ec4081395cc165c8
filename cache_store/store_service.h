// `kiln cache serve` without its command line: the store of a folder behind its HTTP door, and its scrubber.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "cache_store/disk_store.h"
#include "cache_store/http_routes.h"

namespace kiln::cache {

// What the port file of a store that cannot serve begins with; exit code and reason follow.
inline constexpr std::string_view kStoreRefused = "refused ";

struct StoreServiceOptions {
  std::string root;
  net::HostPort listen{"127.0.0.1", 0};
  std::uint64_t budget_bytes = kStoreBudgetBytes;
  std::string url_key_file;       // made when missing
  bool open = false;              // no grants; only on loopback, and only where no key is named
  std::string trusted_keys_file;  // whose artifacts are taken; empty or not there yet: nobody's
  bool scrubs = true;
  std::size_t threads = net::kHttpThreads;
  std::string version;
};

// Serves from start() on. Owned by one thread.
class StoreService {
 public:
  [[nodiscard]] static Result<std::unique_ptr<StoreService>> start(StoreServiceOptions options);
  ~StoreService();
  StoreService(const StoreService&) = delete;
  StoreService& operator=(const StoreService&) = delete;

  [[nodiscard]] const net::HostPort& bound() const;
  [[nodiscard]] StoreStats stats() const;
  [[nodiscard]] Status reload_trusted_keys();  // reads the file again; after an error the old ones stay
  // To be called now and then: a file that is another one is read, what is wrong with it is logged once.
  void follow_trusted_keys();
  void stop(std::chrono::milliseconds patience);

 private:
  struct Impl;
  explicit StoreService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::cache
