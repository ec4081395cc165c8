// Everything that stands in front of opening an artifact, in one call: trust, content, seals, and what the
// library itself would do. Called by the process that opens it, on the descriptor that it opens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "cache_store/artifact_trust.h"

namespace kiln::cache {

[[nodiscard]] Trusted<ArtifactManifest> admit_artifact(std::string_view envelope, int sealed_fd,
                                                       const Digest& expected_key, const TrustedKeys& trusted,
                                                       std::int64_t now_unix_s);

// The same for kernels: the content is code for a card, which the driver loads, and nothing of it runs in this process.
[[nodiscard]] Trusted<ArtifactManifest> admit_kernels(std::string_view envelope, int sealed_fd, const Digest& expected_key,
                                                      std::string_view arch, const TrustedKeys& trusted,
                                                      std::int64_t now_unix_s);
// Refuses (exit code 65) anything but a 64-bit ELF file for NVIDIA's cards.
[[nodiscard]] Status check_kernel_file(std::span<const std::byte> image);

}  // namespace kiln::cache
