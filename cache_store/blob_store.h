// Blobs too large for memory: streamed in while they are hashed, read from a descriptor, pinned by owner. The
// artifacts of the same folder are behind store.h; both share one budget.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/sha256.h"
#include "cache_store/store.h"
#include "cache_store/trusted_keys.h"

namespace kiln::cache {

// A blob on its way in. One owner thread; the store outlives it. Destroyed without commit(): nothing stays.
class BlobUpload {
 public:
  virtual ~BlobUpload() = default;
  [[nodiscard]] virtual Status append(std::span<const std::byte> bytes) = 0;
  // Durable when it returns, and pinned where an owner was named. kDataLoss: these are not the bytes of that name.
  [[nodiscard]] virtual Result<PublishOutcome> commit() = 0;
};

struct OpenBlob {
  UniqueFd fd;  // the file itself: it stays readable when the blob is evicted meanwhile
  std::uint64_t bytes = 0;
};

struct PinOutcome {
  std::uint64_t pinned = 0;
  std::vector<Digest> missing;  // not there, and not pinned
};

// May be called from any thread. Owners are names as in is_owner_name().
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Room for `bytes` is set aside before the first of them is taken: kResourceExhausted when there is none.
  // nullptr: the blob is there already (durable, and now pinned too). `owner` may be empty.
  [[nodiscard]] virtual Result<std::unique_ptr<BlobUpload>> begin_blob(const Digest& digest, std::uint64_t bytes,
                                                                       const std::string& owner) = 0;
  // The same of a file that its giver made under a temporary name of the store's own folder (near_store.h): it becomes the
  // blob as it lies there. Its digest is the giver's word, and is looked at as that of any blob that lies here from before.
  // kNotFound: no such file.
  [[nodiscard]] virtual Result<PublishOutcome> adopt_blob(const Digest& digest, const std::string& name,
                                                          std::uint64_t bytes_max, const std::string& owner) = 0;
  // Forgets a blob whose file has another name by now: it is whose name that is. kNotFound; kFailedPrecondition where it is
  // not the owner's alone.
  [[nodiscard]] virtual Status release_blob(const Digest& digest, const std::string& owner) = 0;
  // nullopt: not there, or not what its name says (which is put away). `again`: hash it though it was hashed before.
  [[nodiscard]] virtual Result<std::optional<OpenBlob>> open_blob(const Digest& digest, bool again) = 0;

  // Durable when it returns.
  [[nodiscard]] virtual Result<PinOutcome> pin(const std::string& owner, const std::vector<Digest>& digests) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> unpin(const std::string& owner) = 0;  // how many it had
  // All but these.
  [[nodiscard]] virtual Result<std::uint64_t> unpin_others(const std::string& owner, const std::vector<Digest>& kept) = 0;
  [[nodiscard]] virtual std::vector<Digest> pins_of(const std::string& owner) const = 0;
  [[nodiscard]] virtual std::vector<std::string> pin_owners() const = 0;

  // Hashes the next blob of a round over all of them; false: the round is over, the next call begins another.
  [[nodiscard]] virtual Result<bool> scrub_one() = 0;
};

// What a folder of this machine offers.
class LocalStore : public Store, public BlobStore {
 public:
  // From now on these count, for what is found and for what is published.
  virtual void set_trusted(TrustedKeys trusted) = 0;
};

}  // namespace kiln::cache
