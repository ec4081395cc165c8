// Signed, expiring grants that travel as query parameters: who may do what at the store's HTTP door, until when.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/result.h"

namespace kiln::cache {

// How far the clocks of two hosts may be apart before a fresh grant looks expired.
inline constexpr std::int64_t kGrantClockSkewS = 60;
inline constexpr std::size_t kGrantPathCharsMax = 256;
inline constexpr std::size_t kGrantOwnerCharsMax = 64;

struct Grant {
  std::string method;  // "GET" (which allows HEAD), "PUT", "DELETE"
  std::string path;    // one path, or every path that begins so when it ends in '/': "/cas/"
  std::string owner;   // a job's name: what is PUT is pinned to it; empty: nobody's
  std::uint64_t bytes_max = 0;  // of one body
  std::int64_t expires_unix_s = 0;

  bool operator==(const Grant&) const = default;
};

// Owners become parts of file names: [A-Za-z0-9][A-Za-z0-9._-]*, at most kGrantOwnerCharsMax.
[[nodiscard]] bool is_owner_name(std::string_view name);

enum class GrantFailure { kMissing, kMalformed, kBadSignature, kExpired, kWrongMethod, kWrongPath, kTooLarge };
[[nodiscard]] std::string_view to_string(GrantFailure failure);
// kUnauthenticated, kPermissionDenied, or kOutOfRange when the body is too large.
[[nodiscard]] Error error_of(GrantFailure failure);

// What is asked for, as the server sees it: `path` and `query` are decoded.
struct GrantQuestion {
  std::string_view method;
  std::string_view path;
  const std::map<std::string, std::string, std::less<>>& query;
  std::uint64_t body_bytes = 0;
};

// The secret that coordinator and store share. A value; wiped when destroyed.
class UrlKey {
 public:
  [[nodiscard]] static UrlKey generate();
  // Reads `path`, or makes it (mode 0600, durable). What others may read, or what is no key, is refused. Whoever
  // starts the other processes calls this first: two that make it at once would have two keys.
  [[nodiscard]] static Result<UrlKey> load_or_create(FileSystem& files, const std::string& path);
  [[nodiscard]] static Result<UrlKey> load(FileSystem& files, const std::string& path);
  UrlKey(const UrlKey&) = default;
  UrlKey& operator=(const UrlKey&) = default;
  ~UrlKey();

  // Query string without '?'. Refuses a grant that could not be read back: a bad owner, method or path.
  [[nodiscard]] Result<std::string> sign(const Grant& grant) const;
  // The grant that allows the request, or why none does. The signature is looked at first.
  [[nodiscard]] Result<Grant> verify(const GrantQuestion& question, std::int64_t now_unix_s) const;
  [[nodiscard]] std::optional<GrantFailure> check(const GrantQuestion& question, std::int64_t now_unix_s,
                                                  Grant& grant) const;

 private:
  UrlKey() = default;
  [[nodiscard]] std::string tag_of(const Grant& grant) const;  // hex
  std::array<unsigned char, 32> secret_{};
};

}  // namespace kiln::cache
