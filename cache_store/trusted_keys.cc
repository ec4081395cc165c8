#include "cache_store/trusted_keys.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"

namespace kiln::cache {
namespace {

constexpr std::string_view kHeader = "kiln-trusted-keys 1";
constexpr std::size_t kKeyIdDigits = 16;
constexpr std::size_t kTrustedKeysTextBytesMax = 1U << 20U;

bool is_key_id(std::string_view text) {
  return text.size() == kKeyIdDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Status apply_line(TrustedKeys& keys, std::string_view verb, std::string_view value) {
  if (verb == "trust") {
    KILN_TRY_ASSIGN(const PublicKey key, PublicKey::from_hex(value));
    keys.trust(key);
    return {};
  }
  if (verb == "revoke" && is_key_id(value)) {
    keys.revoke(std::string(value));
    return {};
  }
  if (verb == "minimum-epoch") {
    std::uint64_t epoch = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), epoch);
    if (error == std::errc() && end == value.data() + value.size()) {
      keys.raise_minimum_epoch(epoch);
      return {};
    }
  }
  return fail(bad_config("'{} {}' is none of: trust PUBLIC_KEY, revoke KEY_ID, minimum-epoch N", verb, value));
}

}  // namespace

void TrustedKeys::raise_minimum_epoch(std::uint64_t epoch) { minimum_epoch_ = std::max(minimum_epoch_, epoch); }

const PublicKey* TrustedKeys::find(const std::string& key_id) const {
  const auto at = keys_.find(key_id);
  return at == keys_.end() ? nullptr : &at->second;
}

Result<TrustedKeys> TrustedKeys::parse(std::string_view text) {
  if (text.size() > kTrustedKeysTextBytesMax) return fail(bad_config("list of trusted keys: too large"));
  TrustedKeys keys;
  const std::vector<std::string_view> lines = split(text, '\n');
  if (lines.empty() || trim(lines.front()) != kHeader) {
    return fail(bad_config("list of trusted keys: line 1 is not '{}'", kHeader));
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i].substr(0, lines[i].find('#')));
    if (line.empty()) continue;
    const std::size_t space = std::min(line.find(' '), line.size());
    const Status applied = apply_line(keys, line.substr(0, space), trim(line.substr(space)));
    if (!applied) {
      return fail(bad_config("list of trusted keys, line {}: {}", i + 1, applied.error().message));
    }
  }
  return keys;
}

std::string TrustedKeys::to_text() const {
  std::string text = std::string(kHeader) + "\n";
  for (const auto& [id, key] : keys_) text += "trust " + key.hex() + "\n";
  for (const std::string& id : revoked_) text += "revoke " + id + "\n";
  text += "minimum-epoch " + std::to_string(minimum_epoch_) + "\n";
  return text;
}

}  // namespace kiln::cache
