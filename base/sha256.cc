#include "base/sha256.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/text.h"

namespace kiln {

std::string Digest::hex() const { return to_hex(std::as_bytes(std::span(bytes))); }

Result<Digest> Digest::from_hex(std::string_view hex) {
  Digest digest;
  if (hex.size() != digest.bytes.size() * 2) {
    return fail(make_error(ErrorCode::kInvalidArgument, "a SHA-256 has 64 hex digits, not {}", hex.size()));
  }
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[i];
    int nibble = -1;
    if (c >= '0' && c <= '9') nibble = c - '0';
    if (c >= 'a' && c <= 'f') nibble = c - 'a' + 10;
    if (nibble < 0) {
      return fail(make_error(ErrorCode::kInvalidArgument, "'{}' is no lower-case hex digit", c));
    }
    digest.bytes[i / 2] = static_cast<std::uint8_t>((digest.bytes[i / 2] << 4U) | nibble);
  }
  return digest;
}

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  KILN_CHECK(EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr) == 1, "no SHA-256 in OpenSSL");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size());
}

void Sha256::update(std::string_view text) { update(std::as_bytes(std::span(text))); }

Digest Sha256::finish() {
  Digest digest;
  unsigned int length = 0;
  EVP_DigestFinal_ex(impl_->context, digest.bytes.data(), &length);
  return digest;
}

Digest sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

Digest sha256(std::string_view text) { return sha256(std::as_bytes(std::span(text))); }

Result<Digest> sha256_of_fd(int fd) {
  Sha256 hash;
  std::vector<std::byte> buffer(1U << 20U);
  off_t offset = 0;
  while (true) {
    const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "pread"));
    if (n == 0) return hash.finish();
    hash.update(std::span(buffer).first(static_cast<std::size_t>(n)));
    offset += n;
  }
}

}  // namespace kiln
