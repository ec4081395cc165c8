// Whose keys open the farm's doors, and as what: the allow-list. A value; ZapServer holds the one in force.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::net {

// What a key may be used for. No role includes another.
enum class PeerRole { kWorker, kClient, kAdmin };
[[nodiscard]] std::string_view to_string(PeerRole role);  // "worker"
[[nodiscard]] std::optional<PeerRole> peer_role_from_string(std::string_view name);

inline constexpr std::size_t kPeerNameCharsMax = 64;
inline constexpr std::size_t kAllowedPeersMax = 16'384;
inline constexpr std::size_t kAllowListBytesMax = 4U << 20U;

struct AllowedPeer {
  std::string name;  // letters, digits, '.', '-', '_'; one key has one name
  PeerRole role = PeerRole::kClient;
  std::string public_key;  // Z85

  bool operator==(const AllowedPeer&) const = default;
  [[nodiscard]] std::string user_id() const;  // "worker:rack1-gpu4": what a message's User-Id says
};

class AllowList {
 public:
  // kInvalidArgument: key, name, or a duplicate of either; the message says which.
  [[nodiscard]] Status add(AllowedPeer peer);

  [[nodiscard]] const AllowedPeer* find(std::string_view public_key) const;
  [[nodiscard]] const std::vector<AllowedPeer>& peers() const { return peers_; }  // in the order they were added

  // Lines "KEY ROLE NAME"; a line that begins with '#', which no key does, is a comment. Errors (exit code 78) name
  // `origin` and the line.
  [[nodiscard]] static Result<AllowList> parse(std::string_view text, std::string_view origin);
  [[nodiscard]] std::string to_text() const;

  // Reads a file; refused when others than its owner may write it.
  [[nodiscard]] static Result<AllowList> load(const std::string& path);

 private:
  std::vector<AllowedPeer> peers_;
  std::map<std::string, std::size_t, std::less<>> by_key_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
};

}  // namespace kiln::net
