#include "cache_store/artifact_trust.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/sealed_file.h"

namespace kiln::cache {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<TrustFailure, std::string_view>, 15> kFailureNames{{
    {TrustFailure::kEnvelopeMalformed, "envelope_malformed"},
    {TrustFailure::kPayloadTypeUnknown, "payload_type_unknown"},
    {TrustFailure::kSignerUnknown, "signer_unknown"},
    {TrustFailure::kSignerRevoked, "signer_revoked"},
    {TrustFailure::kSignatureWrong, "signature_wrong"},
    {TrustFailure::kManifestMalformed, "manifest_malformed"},
    {TrustFailure::kBuilderMismatch, "builder_mismatch"},
    {TrustFailure::kKeyMismatch, "key_mismatch"},
    {TrustFailure::kExpired, "expired"},
    {TrustFailure::kEpochTooOld, "epoch_too_old"},
    {TrustFailure::kNotSealed, "not_sealed"},
    {TrustFailure::kLengthMismatch, "length_mismatch"},
    {TrustFailure::kContentMismatch, "content_mismatch"},
    {TrustFailure::kLibraryRefused, "library_refused"},
    {TrustFailure::kUnreadable, "unreadable"},
}};

tl::unexpected<TrustError> refuse(TrustFailure reason, std::string message) {
  return tl::unexpected<TrustError>(TrustError{reason, std::move(message)});
}

std::string to_base64(std::span<const unsigned char> bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the terminating zero
  return text;
}

bool from_base64(const std::string& text, std::string& out) {
  out.assign(text.size() / 4 * 3 + 3, '\0');
  std::size_t length = 0;
  const char* end = nullptr;
  const int rc =
      sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(),
                        nullptr, &length, &end, sodium_base64_VARIANT_ORIGINAL);
  out.resize(length);
  return rc == 0 && end == text.data() + text.size();
}

std::span<const unsigned char> unsigned_bytes(std::string_view text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

struct OpenedEnvelope {
  std::string payload_type;
  std::string payload;
  std::string key_id;
  Signature signature;
};

const std::string* text_field(const json& object, const char* name) {
  const auto at = object.find(name);
  return at == object.end() ? nullptr : at->get_ptr<const std::string*>();
}

// DSSE asks for exactly one signature here: two would need a rule about which of them counts.
bool open_envelope(std::string_view text, OpenedEnvelope& out) {
  if (text.size() > 2 * kManifestBytesMax) return false;
  const json envelope = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!envelope.is_object() || envelope.size() != 3) return false;
  // One spelling: no doubled field and no escape that another reader would take differently.
  if (envelope.dump(-1, ' ', false, json::error_handler_t::replace) != text) return false;
  const std::string* type = text_field(envelope, "payloadType");
  const std::string* payload = text_field(envelope, "payload");
  const auto signatures = envelope.find("signatures");
  if (type == nullptr || payload == nullptr || signatures == envelope.end() || !signatures->is_array() ||
      signatures->size() != 1 || !signatures->front().is_object()) {
    return false;
  }
  const std::string* key_id = text_field(signatures->front(), "keyid");
  const std::string* sig = text_field(signatures->front(), "sig");
  std::string signature;
  if (key_id == nullptr || sig == nullptr || !from_base64(*sig, signature) ||
      signature.size() != out.signature.bytes.size() || !from_base64(*payload, out.payload)) {
    return false;
  }
  std::copy(signature.begin(), signature.end(), out.signature.bytes.begin());
  out.payload_type = *type;
  out.key_id = *key_id;
  return true;
}

// Signature first: nothing of the payload is parsed before it holds.
Trusted<void> check_signature(const OpenedEnvelope& envelope, const TrustedKeys& trusted) {
  if (envelope.payload_type != kManifestPayloadType) {
    return refuse(TrustFailure::kPayloadTypeUnknown, "payload type is not " + std::string(kManifestPayloadType));
  }
  const PublicKey* signer = trusted.find(envelope.key_id);
  if (trusted.revoked(envelope.key_id)) {
    return refuse(TrustFailure::kSignerRevoked, "its signer's key was revoked");
  }
  if (signer == nullptr) return refuse(TrustFailure::kSignerUnknown, "signed by a key that is not trusted here");
  const std::string signed_bytes = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  if (!signature_is_valid(*signer, std::as_bytes(std::span(signed_bytes)), envelope.signature)) {
    return refuse(TrustFailure::kSignatureWrong, "the signature does not match");
  }
  return {};
}

}  // namespace

std::string_view to_string(TrustFailure failure) {
  for (const auto& [value, name] : kFailureNames) {
    if (value == failure) return name;
  }
  return "unknown";
}

bool is_signature_failure(TrustFailure failure) { return failure < TrustFailure::kNotSealed; }

std::string sign_manifest(ArtifactManifest manifest, const SigningKey& key) {
  manifest.builder = key.public_key().id();
  const std::string body = encode_manifest(manifest);
  const std::string message = pre_authentication_encoding(kManifestPayloadType, body);
  const Signature signature = key.sign(std::as_bytes(std::span(message)));
  const json envelope{{"payloadType", kManifestPayloadType},
                      {"payload", to_base64(unsigned_bytes(body))},
                      {"signatures", json::array({{{"keyid", manifest.builder},
                                                   {"sig", to_base64(signature.bytes)}}})}};
  return envelope.dump();
}

Trusted<ArtifactManifest> verify_envelope(std::string_view envelope_text, const Digest& expected_key,
                                          const TrustedKeys& trusted, std::int64_t now_unix_s) {
  OpenedEnvelope envelope;
  if (!open_envelope(envelope_text, envelope)) {
    return refuse(TrustFailure::kEnvelopeMalformed, "not an envelope with one signature");
  }
  if (auto checked = check_signature(envelope, trusted); !checked) return tl::unexpected(checked.error());
  auto manifest = decode_manifest(envelope.payload);
  if (!manifest) return refuse(TrustFailure::kManifestMalformed, manifest.error().message);
  if (manifest->builder != envelope.key_id) {
    return refuse(TrustFailure::kBuilderMismatch, "names builder " + manifest->builder);
  }
  if (manifest->key != expected_key) {
    return refuse(TrustFailure::kKeyMismatch, "is the artifact of key " + manifest->key.hex());
  }
  if (manifest->expires_unix_s != 0 && manifest->expires_unix_s <= now_unix_s) {
    return refuse(TrustFailure::kExpired, fmt::format("expired {} s ago", now_unix_s - manifest->expires_unix_s));
  }
  if (manifest->epoch < trusted.minimum_epoch()) {
    return refuse(TrustFailure::kEpochTooOld,
                  fmt::format("epoch {} is older than {}", manifest->epoch, trusted.minimum_epoch()));
  }
  return std::move(*manifest);
}

Trusted<ArtifactManifest> verify_artifact(std::string_view envelope, int sealed_fd, const Digest& expected_key,
                                          const TrustedKeys& trusted, std::int64_t now_unix_s) {
  auto manifest = verify_envelope(envelope, expected_key, trusted, now_unix_s);
  if (!manifest) return manifest;
  if (auto sealed = require_sealed(sealed_fd); !sealed) {
    return refuse(TrustFailure::kNotSealed, sealed.error().message);
  }
  const auto mapping = Mapping::map(sealed_fd);
  if (!mapping) return refuse(TrustFailure::kUnreadable, mapping.error().message);
  if (mapping->bytes().size() != manifest->content_bytes) {
    return refuse(TrustFailure::kLengthMismatch, fmt::format("has {} bytes, the manifest says {}",
                                                             mapping->bytes().size(), manifest->content_bytes));
  }
  if (const Digest actual = sha256(mapping->bytes()); actual != manifest->content_sha256) {
    return refuse(TrustFailure::kContentMismatch, "holds bytes with SHA-256 " + actual.hex());
  }
  return manifest;
}

}  // namespace kiln::cache
