// The farm's store as a worker uses it: blobs over HTTP, with the grants of the session. Bytes are taken only when they
// are what their name says.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "cache_store/remote_store.h"
#include "net/farm_worker_messages.h"
#include "net/http_client.h"

namespace kiln::worker {

// How long one call goes on trying before it says that the store is away. The core tries again.
inline constexpr std::chrono::milliseconds kStoreConnectDeadline{5'000};
inline constexpr std::chrono::milliseconds kStoreAnswerDeadline{30'000};

struct StoreTraffic {  // all only rise
  std::uint64_t fetched_bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t given_bytes = 0;  // of these, in files that the store took as they were
  std::uint64_t fetches_failed = 0;
  std::uint64_t stores_failed = 0;
  std::uint64_t connections_not_kept = 0;
};

// Any thread.
class StoreAccess {
 public:
  // Address and grants from here on. kInvalidArgument: no address that we can use.
  [[nodiscard]] Status use(const net::Welcome& welcome);

  // Writes the blob into `fd` and checks size and hash. kDataLoss (exit code 65): something else came.
  [[nodiscard]] Status fetch(const net::BlobRef& blob, int fd);
  // As a sealed memory file.
  [[nodiscard]] Result<UniqueFd> fetch_sealed(const net::BlobRef& blob, std::uint64_t bytes_max);
  // With a task's own grant; empty: the session's. Nothing is sent that the store has already, nor to a store whose folder we
  // see: that takes the file as it is, and nobody may write to it any more. `known`: what it hashes to, by who wrote it.
  [[nodiscard]] Result<net::BlobRef> put_file(const std::string& path, const std::string& write_query,
                                              const std::optional<Digest>& known = std::nullopt);
  [[nodiscard]] Result<net::BlobRef> put_text(std::string_view text, const std::string& write_query);

  // Artifacts that the session's keys vouch for. `fence`: the attempt for which something is published.
  [[nodiscard]] Result<std::shared_ptr<cache::Store>> artifacts(std::optional<cache::Fence> fence = std::nullopt);
  // Before compiling: the store then takes nothing for this key from an earlier attempt any more. kUnavailable, and so
  // worth another try, while another task has it.
  [[nodiscard]] Status take_lease(const std::string& key_hex, const cache::Fence& fence);
  [[nodiscard]] std::string trusted_keys() const;

  // What ffmpeg reads it from, by range, while the grants hold.
  [[nodiscard]] std::string url_of(const net::BlobRef& blob) const;
  // Takes grants out of what is shown to people.
  [[nodiscard]] std::string without_grants(std::string text) const;

  void abort();  // ends what runs, for good
  [[nodiscard]] StoreTraffic traffic() const;

  struct Door {  // one address with the grants for it
    std::shared_ptr<net::HttpClient> client;
    std::string url;
    std::string read_query;
    std::string write_query;
    std::string trusted_keys;
  };
  [[nodiscard]] Door door() const;

 private:
  [[nodiscard]] Status get_checked(const net::BlobRef& blob, int fd);
  struct Outgoing {
    int fd = -1;
    std::string path;  // empty: it has none
    std::optional<Digest> known;
  };
  [[nodiscard]] Result<net::BlobRef> put(const Outgoing& file, const std::string& write_query);
  [[nodiscard]] Result<net::BlobRef> put_hashed(const Outgoing& file, const std::string& write_query);
  [[nodiscard]] Status send(const Door& door, const Outgoing& file, const net::BlobRef& blob, const std::string& write_query);
  [[nodiscard]] std::string near_folder(const Door& door);

  mutable std::mutex mutex_;
  Door door_;
  std::optional<std::string> near_folder_;  // of the store at the door; none: nobody has asked yet
  std::string earlier_read_query_;  // may still be in what a lane complains of
  std::vector<std::weak_ptr<cache::RemoteStore>> opened_;  // to be aborted with the rest
  bool aborted_ = false;
  std::atomic<std::uint64_t> fetched_bytes_ = 0;
  std::atomic<std::uint64_t> stored_bytes_ = 0;
  std::atomic<std::uint64_t> given_bytes_ = 0;
  std::atomic<std::uint64_t> fetches_failed_ = 0;
  std::atomic<std::uint64_t> stores_failed_ = 0;
  std::uint64_t not_kept_earlier_ = 0;  // by clients of earlier addresses
};

// Worth another try: nobody answered, or not in time. Refused grants: new ones may help.
[[nodiscard]] bool is_passing(const Error& error);
// What was to be stored found no room. Somebody may make some.
[[nodiscard]] bool is_full(const Error& error);
[[nodiscard]] bool is_denied(const Error& error);

}  // namespace kiln::worker
