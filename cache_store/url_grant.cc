#include "cache_store/url_grant.h"

#include <sodium.h>

#include <algorithm>
#include <charconv>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/private_file.h"
#include "base/sha256.h"
#include "net/http_message.h"

namespace kiln::cache {
namespace {

static_assert(crypto_auth_hmacsha256_KEYBYTES == 32 && crypto_auth_hmacsha256_BYTES == 32);

// The first word of a key file, and of what is signed: another format has another word.
constexpr std::string_view kKeyWord = "kiln-url-key-1 ";
constexpr std::string_view kGrantWord = "kiln-grant-1";
constexpr std::size_t kKeyFileBytes = kKeyWord.size() + 64 + 1;
constexpr std::array<std::string_view, 4> kMethods{"GET", "PUT", "POST", "DELETE"};

void start_sodium() { KILN_CHECK(sodium_init() >= 0, "libsodium does not start"); }

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool is_grant_path(std::string_view path) {
  return path.starts_with('/') && path.size() <= kGrantPathCharsMax && is_plain(path);
}

bool is_method(std::string_view method) {
  return std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
}

// Decimal, the one spelling that printing it gives.
template <typename T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && fmt::format("{}", value) == text;
}

Status sweep_unfinished_keys(FileSystem& files, const std::string& path) {
  const std::string folder = parent_directory(path);
  const std::string prefix = path.substr(path.find_last_of('/') + 1) + ".";
  KILN_TRY_ASSIGN(const auto names, files.list(folder));
  for (const std::string& name : names) {
    if (name.starts_with(prefix) && name.ends_with(".tmp")) KILN_TRY(files.remove_file(folder + "/" + name));
  }
  return {};
}

Status write_key_file(FileSystem& files, const std::string& path, std::string_view text) {
  const std::string temp = path + "." + random_temp_name();
  KILN_TRY_ASSIGN(auto file, files.create_exclusive(temp, kOwnerOnlyMode));
  KILN_TRY(file->append(std::as_bytes(std::span(text))));
  KILN_TRY(file->sync());
  KILN_TRY(file->close());
  KILN_TRY(files.rename(temp, path));
  return files.sync_directory(parent_directory(path));
}

bool covers(const Grant& grant, std::string_view path) {
  return grant.path.ends_with('/') ? path.starts_with(grant.path) : path == grant.path;
}

}  // namespace

bool is_owner_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kGrantOwnerCharsMax && letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

std::string_view to_string(GrantFailure failure) {
  switch (failure) {
    case GrantFailure::kMissing:
      return "the URL carries no grant";
    case GrantFailure::kMalformed:
      return "the URL's grant is malformed";
    case GrantFailure::kBadSignature:
      return "the URL's grant is not signed by this store's key";
    case GrantFailure::kExpired:
      return "the URL's grant has expired, by the store's clock";
    case GrantFailure::kWrongMethod:
      return "the URL's grant is for another method";
    case GrantFailure::kWrongPath:
      return "the URL's grant is for another path";
    case GrantFailure::kTooLarge:
      return "the body is larger than the URL's grant allows";
  }
  return "refused";
}

Error error_of(GrantFailure failure) {
  ErrorCode code = ErrorCode::kPermissionDenied;
  if (failure == GrantFailure::kMissing || failure == GrantFailure::kMalformed ||
      failure == GrantFailure::kBadSignature) {
    code = ErrorCode::kUnauthenticated;
  }
  if (failure == GrantFailure::kTooLarge) code = ErrorCode::kOutOfRange;
  return make_error(code, "{}", to_string(failure));
}

UrlKey UrlKey::generate() {
  start_sodium();
  UrlKey key;
  randombytes_buf(key.secret_.data(), key.secret_.size());
  return key;
}

UrlKey::~UrlKey() { sodium_memzero(secret_.data(), secret_.size()); }

Result<UrlKey> UrlKey::load(FileSystem& files, const std::string& path) {
  start_sodium();
  auto file = files.open_for_read(path);
  if (!file) return fail(key_file_error(file.error(), "URL key"));
  KILN_TRY(require_private_file(file->get(), "URL key", path));
  KILN_TRY_ASSIGN(std::string text, read_to_end(file->get(), 2 * kKeyFileBytes));
  const bool shaped = text.size() == kKeyFileBytes && text.starts_with(kKeyWord) && text.back() == '\n';
  const auto secret = Digest::from_hex(shaped ? std::string_view(text).substr(kKeyWord.size(), 64) : "");
  sodium_memzero(text.data(), text.size());
  if (!secret) {
    return fail(input_refused("{} is no URL key of Kiln, or it is damaged: move it away and a new one is made", path));
  }
  UrlKey key;
  std::copy(secret->bytes.begin(), secret->bytes.end(), key.secret_.begin());
  return key;
}

Result<UrlKey> UrlKey::load_or_create(FileSystem& files, const std::string& path) {
  KILN_TRY(sweep_unfinished_keys(files, path));
  if (const auto info = files.stat(path); !info && info.error().code == ErrorCode::kNotFound) {
    const UrlKey fresh = generate();
    Digest secret;
    std::copy(fresh.secret_.begin(), fresh.secret_.end(), secret.bytes.begin());
    std::string text = std::string(kKeyWord) + secret.hex() + "\n";
    const Status written = write_key_file(files, path, text);
    sodium_memzero(text.data(), text.size());
    KILN_TRY(written);
  }
  return load(files, path);
}

std::string UrlKey::tag_of(const Grant& grant) const {
  const std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", kGrantWord, grant.method, grant.path, grant.owner,
                                       grant.bytes_max, grant.expires_unix_s);
  Digest tag;
  crypto_auth_hmacsha256(tag.bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                         secret_.data());
  return tag.hex();
}

Result<std::string> UrlKey::sign(const Grant& grant) const {
  if (!is_method(grant.method) || !is_grant_path(grant.path) || grant.expires_unix_s < 0 ||
      (!grant.owner.empty() && !is_owner_name(grant.owner))) {
    return fail(make_error(ErrorCode::kInvalidArgument, "no grant can say: {} {} for '{}'", grant.method, grant.path,
                           grant.owner));
  }
  return fmt::format("m={}&p={}&o={}&b={}&x={}&s={}", grant.method, net::percent_encode(grant.path), grant.owner,
                     grant.bytes_max, grant.expires_unix_s, tag_of(grant));
}

std::optional<GrantFailure> UrlKey::check(const GrantQuestion& question, std::int64_t now_unix_s,
                                          Grant& grant) const {
  const auto field = [&](std::string_view name) -> const std::string* {
    const auto at = question.query.find(name);
    return at == question.query.end() ? nullptr : &at->second;
  };
  const std::string *method = field("m"), *path = field("p"), *owner = field("o"), *bytes = field("b"),
                    *expires = field("x"), *tag = field("s");
  if (tag == nullptr) return GrantFailure::kMissing;
  if (method == nullptr || path == nullptr || owner == nullptr || bytes == nullptr || expires == nullptr) {
    return GrantFailure::kMalformed;
  }
  grant = {*method, *path, *owner, 0, 0};
  if (!is_method(grant.method) || !is_grant_path(grant.path) ||
      (!grant.owner.empty() && !is_owner_name(grant.owner)) || !read_number(*bytes, grant.bytes_max) ||
      !read_number(*expires, grant.expires_unix_s)) {
    return GrantFailure::kMalformed;
  }
  const std::string expected = tag_of(grant);
  if (tag->size() != expected.size() || sodium_memcmp(tag->data(), expected.data(), expected.size()) != 0) {
    return GrantFailure::kBadSignature;
  }
  if (grant.expires_unix_s < now_unix_s - kGrantClockSkewS) return GrantFailure::kExpired;
  const bool reads = grant.method == "GET" && question.method == "HEAD";
  if (!reads && grant.method != question.method) return GrantFailure::kWrongMethod;
  if (!covers(grant, question.path)) return GrantFailure::kWrongPath;
  if (question.body_bytes > grant.bytes_max) return GrantFailure::kTooLarge;
  return std::nullopt;
}

Result<Grant> UrlKey::verify(const GrantQuestion& question, std::int64_t now_unix_s) const {
  Grant grant;
  if (const auto failure = check(question, now_unix_s, grant)) return fail(error_of(*failure));
  return grant;
}

}  // namespace kiln::cache
