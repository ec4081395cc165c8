#include "cache_store/signing_key.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/private_file.h"
#include "base/sha256.h"

namespace kiln::cache {
namespace {

// The file: magic, 32 bytes of seed, the first 8 bytes of the seed's SHA-256 (a damaged seed would
// otherwise be a valid key that nobody trusts).
constexpr std::string_view kKeyMagic = "kilnkey1";
constexpr std::size_t kSeedBytes = crypto_sign_SEEDBYTES;
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kKeyFileBytes = kKeyMagic.size() + kSeedBytes + kChecksumBytes;

static_assert(crypto_sign_PUBLICKEYBYTES == sizeof(PublicKey::bytes));
static_assert(crypto_sign_BYTES == sizeof(Signature::bytes));

// Safe to call again and from several threads.
void start_sodium() { KILN_CHECK(sodium_init() >= 0, "libsodium does not start"); }

// Guarded pages on both sides, locked in memory where the limit allows, wiped when freed.
struct GuardedBytes {
  explicit GuardedBytes(std::size_t n) : size(n) {
    start_sodium();
    data = static_cast<unsigned char*>(sodium_malloc(n));
    KILN_CHECK(data != nullptr, "no guarded memory for {} bytes", n);
  }
  ~GuardedBytes() { sodium_free(data); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;
  [[nodiscard]] std::span<std::byte> span() const { return {reinterpret_cast<std::byte*>(data), size}; }

  unsigned char* data = nullptr;
  std::size_t size = 0;
};

std::array<std::uint8_t, kChecksumBytes> checksum_of(const unsigned char* seed) {
  const Digest digest = sha256(std::span(reinterpret_cast<const std::byte*>(seed), kSeedBytes));
  std::array<std::uint8_t, kChecksumBytes> out{};
  std::copy_n(digest.bytes.begin(), out.size(), out.begin());
  return out;
}

Error damaged(const std::string& path) {
  return input_refused("{} is not a signing key of Kiln, or it is damaged: move it away and a new one is made "
                       "(artifacts that the old one signed are then built again)",
                       path);
}

// A crash may have left a seed that nobody used; it is still a secret on disk.
Status sweep_unfinished_keys(FileSystem& files, const std::string& path) {
  const std::string folder = parent_directory(path);
  const std::string prefix = path.substr(path.find_last_of('/') + 1) + ".";
  KILN_TRY_ASSIGN(const auto names, files.list(folder));
  for (const std::string& name : names) {
    if (name.starts_with(prefix) && name.ends_with(".tmp")) KILN_TRY(files.remove_file(folder + "/" + name));
  }
  return {};
}

Status write_key_file(FileSystem& files, const std::string& path, const unsigned char* seed) {
  const GuardedBytes image(kKeyFileBytes);
  std::memcpy(image.data, kKeyMagic.data(), kKeyMagic.size());
  std::memcpy(image.data + kKeyMagic.size(), seed, kSeedBytes);
  const auto checksum = checksum_of(seed);
  std::memcpy(image.data + kKeyMagic.size() + kSeedBytes, checksum.data(), checksum.size());
  const std::string temp = path + "." + random_temp_name();
  KILN_TRY_ASSIGN(auto file, files.create_exclusive(temp, kOwnerOnlyMode));
  KILN_TRY(file->append(image.span()));
  KILN_TRY(file->sync());
  KILN_TRY(file->close());
  KILN_TRY(files.rename(temp, path));
  return files.sync_directory(parent_directory(path));
}

}  // namespace

struct SigningKey::GuardedSecret {
  GuardedBytes bytes{crypto_sign_SECRETKEYBYTES};

  static std::pair<std::unique_ptr<GuardedSecret>, PublicKey> from_seed(const unsigned char* seed) {
    auto secret = std::make_unique<GuardedSecret>();
    PublicKey public_key;
    crypto_sign_seed_keypair(public_key.bytes.data(), secret->bytes.data, seed);
    sodium_mprotect_readonly(secret->bytes.data);
    return {std::move(secret), public_key};
  }
};

std::string PublicKey::hex() const { return Digest{bytes}.hex(); }

Result<PublicKey> PublicKey::from_hex(std::string_view hex) {
  const auto digest = Digest::from_hex(hex);
  if (!digest) return fail(make_error(ErrorCode::kInvalidArgument, "a public key has 64 lower-case hex digits"));
  return PublicKey{digest->bytes};
}

std::string PublicKey::id() const { return sha256(std::as_bytes(std::span(bytes))).hex().substr(0, 16); }

SigningKey::SigningKey(std::unique_ptr<GuardedSecret> secret, PublicKey public_key)
    : secret_(std::move(secret)), public_key_(public_key) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::generate() {
  const GuardedBytes seed(kSeedBytes);
  randombytes_buf(seed.data, seed.size);
  auto [secret, public_key] = GuardedSecret::from_seed(seed.data);
  return SigningKey(std::move(secret), public_key);
}

Result<SigningKey> SigningKey::load_or_create(FileSystem& files, const std::string& path) {
  KILN_TRY(sweep_unfinished_keys(files, path));
  auto file = files.open_for_read(path);
  if (!file && file.error().code == ErrorCode::kNotFound) {
    const GuardedBytes seed(kSeedBytes);
    randombytes_buf(seed.data, seed.size);
    KILN_TRY(write_key_file(files, path, seed.data));
    file = files.open_for_read(path);
  }
  if (!file) return fail(file.error().with_context("signing key"));
  KILN_TRY(require_private_file(file->get(), "signing key", path));
  const GuardedBytes image(kKeyFileBytes + 1);  // one more, to see a file that is too long
  KILN_TRY_ASSIGN(const std::size_t size, read_fully(file->get(), image.span()));
  const unsigned char* seed = image.data + kKeyMagic.size();
  if (size != kKeyFileBytes || std::memcmp(image.data, kKeyMagic.data(), kKeyMagic.size()) != 0 ||
      std::memcmp(seed + kSeedBytes, checksum_of(seed).data(), kChecksumBytes) != 0) {
    return fail(damaged(path));
  }
  auto [secret, public_key] = GuardedSecret::from_seed(seed);
  return SigningKey(std::move(secret), public_key);
}

Signature SigningKey::sign(std::span<const std::byte> message) const {
  Signature signature;
  crypto_sign_detached(signature.bytes.data(), nullptr, reinterpret_cast<const unsigned char*>(message.data()),
                       message.size(), secret_->bytes.data);
  return signature;
}

bool signature_is_valid(const PublicKey& key, std::span<const std::byte> message, const Signature& signature) {
  start_sodium();
  return crypto_sign_verify_detached(signature.bytes.data(),
                                     reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                                     key.bytes.data()) == 0;
}

}  // namespace kiln::cache
