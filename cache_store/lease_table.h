// Who is building the artifact of a key: leases that give way to a higher attempt, and a fence against late publishes.
// The coordinator decides who compiles; this only keeps the late ones out. Decides; holds no lock and no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/sha256.h"

namespace kiln::cache {

inline constexpr std::size_t kLeasesMax = 65'536;
inline constexpr std::int64_t kLeaseSecondsMax = 3'600;
inline constexpr std::int64_t kLeaseSecondsDefault = 60;

// One try of one task. Of two of the same task the one with the higher attempt is the later.
struct Fence {
  std::uint64_t task = 0;
  std::uint32_t attempt = 0;
  auto operator<=>(const Fence&) const = default;
};

struct Lease {
  Fence fence;
  std::int64_t expires_unix_s = 0;
  bool operator==(const Lease&) const = default;
};

enum class LeaseAnswer {
  kGranted,   // now the caller's, or still the caller's and renewed
  kHeld,      // another task's, until it expires
  kOutdated,  // a later attempt of the same task has it, or had it
  kTableFull,
};

class LeaseTable {
 public:
  [[nodiscard]] LeaseAnswer take(const Digest& key, const Fence& fence, std::int64_t seconds, std::int64_t now_unix_s);
  // Nobody's lease is not an error; somebody else's stays.
  void give_back(const Digest& key, const Fence& fence);
  // Whether that try may still publish: it may not when a later attempt of its task was given the lease, expired or
  // not, or when another task holds one that has not expired.
  [[nodiscard]] bool may_publish(const Digest& key, const Fence& fence, std::int64_t now_unix_s) const;
  [[nodiscard]] std::optional<Lease> find(const Digest& key) const;  // also when expired
  [[nodiscard]] std::size_t size() const { return leases_.size(); }

 private:
  void drop_expired(std::int64_t now_unix_s);
  std::map<Digest, Lease> leases_;
};

}  // namespace kiln::cache
