// SHA-256 content digests: the names of everything in the store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;

  [[nodiscard]] std::string hex() const;  // 64 lower-case digits
  [[nodiscard]] static Result<Digest> from_hex(std::string_view hex);
};

// Streaming hash; one owner, not thread-safe. finish() ends it.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text);
  [[nodiscard]] Digest finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

[[nodiscard]] Digest sha256(std::string_view text);
[[nodiscard]] Digest sha256(std::span<const std::byte> bytes);
[[nodiscard]] Result<Digest> sha256_of_fd(int fd);  // from offset 0 to the end; the file offset is kept

}  // namespace kiln
