// The store of another process or machine, over HTTP. It is trusted with nothing: artifacts are verified by signature
// and content, blobs by their name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cache_store/lease_table.h"
#include "cache_store/store.h"
#include "cache_store/trusted_keys.h"
#include "net/http_client.h"

namespace kiln::cache {

// The query string (without '?') that allows `method` on `path` with a body of so many bytes; "" where none is needed.
using GrantSource =
    std::function<Result<std::string>(std::string_view method, std::string_view path, std::uint64_t bytes)>;

struct RemoteStoreOptions {
  net::HttpClientOptions client;
  TrustedKeys trusted;
  GrantSource grants;                        // empty: the store is open
  std::function<std::int64_t()> now_unix_s;  // empty: the system's clock
  std::function<void(const StoreEvent&)> on_event;
  std::optional<Fence> fence;                // sent with every publish
};

// May be called from any thread. Errors are also those of the network (kUnavailable, kDeadlineExceeded).
class RemoteStore : public Store {
 public:
  // A file under the name of its SHA-256; sends nothing when the store has it.
  [[nodiscard]] virtual Result<Digest> put_file(int fd) = 0;
  // Where the caller knows the digest and size already: hashed by the store only.
  [[nodiscard]] virtual Status put_file_as(const Digest& digest, int fd, std::uint64_t bytes) = 0;
  // The whole blob, from `fd`'s offset 0 on, hashed as it lies there. kNotFound; kDataLoss when it is something else
  // (after the store was asked to look again).
  [[nodiscard]] virtual Status get_file(const Digest& digest, int fd) = 0;
  // As above into a temp file that takes its name when it is whole.
  [[nodiscard]] virtual Status get_file_to(const Digest& digest, const std::string& path) = 0;
  // Part of a blob; cannot be verified, and is for what is checked otherwise (sources that a decoder reads).
  [[nodiscard]] virtual Result<std::string> get_range(const Digest& digest, std::uint64_t offset,
                                                      std::uint64_t bytes) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> blob_bytes(const Digest& digest) = 0;  // kNotFound
  // With its grant, for programs that read by themselves (ffmpeg).
  [[nodiscard]] virtual Result<std::string> blob_url(const Digest& digest) = 0;
  virtual void abort() = 0;  // ends every call that runs, and every later one
};

[[nodiscard]] std::unique_ptr<RemoteStore> open_remote_store(RemoteStoreOptions options);

}  // namespace kiln::cache
