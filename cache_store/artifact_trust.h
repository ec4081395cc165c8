// The gate in front of every dlopen: the binding of key to content is signed by somebody we trust, and the
// sealed copy that will be opened is that content. Used by whoever takes an artifact out of a store, and
// again by the lane that loads it.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "cache_store/artifact_manifest.h"
#include "cache_store/signing_key.h"
#include "cache_store/trusted_keys.h"

namespace kiln::cache {

// Why an artifact is not loaded. Every one of them means: a miss, a metric, a rebuild.
enum class TrustFailure {
  kEnvelopeMalformed,
  kPayloadTypeUnknown,  // also another format version
  kSignerUnknown,
  kSignerRevoked,
  kSignatureWrong,
  kManifestMalformed,
  kBuilderMismatch,  // the manifest names another builder than the key that signed it
  kKeyMismatch,      // validly signed, but the answer to another key
  kExpired,
  kEpochTooOld,
  kNotSealed,
  kLengthMismatch,
  kContentMismatch,
  kLibraryRefused,  // signed, but it would do what no artifact does, or this machine cannot run it
  kUnreadable,
};
[[nodiscard]] std::string_view to_string(TrustFailure failure);
// Whether it is the binding (signature, signer, epoch, …) rather than the bytes of the content.
[[nodiscard]] bool is_signature_failure(TrustFailure failure);

struct TrustError {
  TrustFailure reason = TrustFailure::kEnvelopeMalformed;
  std::string message;  // one line, for a log
};
template <typename T>
using Trusted = tl::expected<T, TrustError>;

// DSSE envelope (JSON) over the canonical manifest; sets `manifest.builder` to the key's id first.
[[nodiscard]] std::string sign_manifest(ArtifactManifest manifest, const SigningKey& key);

// Signature, signer, key, expiry and epoch; says nothing about content.
[[nodiscard]] Trusted<ArtifactManifest> verify_envelope(std::string_view envelope, const Digest& expected_key,
                                                        const TrustedKeys& trusted, std::int64_t now_unix_s);
// As above, then: the descriptor is sealed, and its bytes are the signed content.
[[nodiscard]] Trusted<ArtifactManifest> verify_artifact(std::string_view envelope, int sealed_fd,
                                                        const Digest& expected_key,
                                                        const TrustedKeys& trusted, std::int64_t now_unix_s);

}  // namespace kiln::cache
