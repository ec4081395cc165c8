// Everything that stands in front of opening an artifact, in one call: trust, content, seals, and what the
// library itself would do. Called by the process that opens it, on the descriptor that it opens.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache_store/artifact_trust.h"

namespace kiln::cache {

[[nodiscard]] Trusted<ArtifactManifest> admit_artifact(std::string_view envelope, int sealed_fd,
                                                       const Digest& expected_key, const TrustedKeys& trusted,
                                                       std::int64_t now_unix_s);

}  // namespace kiln::cache
