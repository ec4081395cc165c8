// The worker's Ed25519 key: made at first use, readable by its owner alone, never handed to a child.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/result.h"

namespace kiln::cache {

struct PublicKey {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const PublicKey&) const = default;
  [[nodiscard]] std::string hex() const;
  [[nodiscard]] static Result<PublicKey> from_hex(std::string_view hex);
  // First 8 bytes of SHA-256 of the key, in hex: a name to look it up by, never a proof.
  [[nodiscard]] std::string id() const;
};

struct Signature {
  std::array<std::uint8_t, 64> bytes{};
};

// Owns the secret in guarded, locked, read-only memory that is wiped when freed. Move-only; sign() may be
// called from several threads.
class SigningKey {
 public:
  [[nodiscard]] static Result<SigningKey> generate();
  // Reads `path`, or makes it (mode 0600, durable before it is used). A file that others may read, or that
  // is damaged, is refused. Callers hold the lock of the state folder.
  [[nodiscard]] static Result<SigningKey> load_or_create(FileSystem& files, const std::string& path);

  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] Signature sign(std::span<const std::byte> message) const;

 private:
  struct GuardedSecret;
  SigningKey(std::unique_ptr<GuardedSecret> secret, PublicKey public_key);
  std::unique_ptr<GuardedSecret> secret_;
  PublicKey public_key_;
};

[[nodiscard]] bool signature_is_valid(const PublicKey& key, std::span<const std::byte> message,
                                      const Signature& signature);

}  // namespace kiln::cache
