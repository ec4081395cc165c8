#include "cache_store/artifact_admission.h"

#include "base/sealed_file.h"
#include "cache_store/artifact_file_check.h"

namespace kiln::cache {
namespace {

Status check_library(std::span<const std::byte> library) {
  KILN_TRY_ASSIGN(const ArtifactFileReport report, check_artifact_file(library));
  return check_symbol_versions(report, running_glibc(), running_libstdcxx());
}

}  // namespace

Trusted<ArtifactManifest> admit_artifact(std::string_view envelope, int sealed_fd, const Digest& expected_key,
                                         const TrustedKeys& trusted, std::int64_t now_unix_s) {
  auto manifest = verify_artifact(envelope, sealed_fd, expected_key, trusted, now_unix_s);
  if (!manifest) return manifest;
  const auto mapping = Mapping::map(sealed_fd);
  if (!mapping) return tl::unexpected(TrustError{TrustFailure::kUnreadable, mapping.error().message});
  if (const Status checked = check_library(mapping->bytes()); !checked) {
    return tl::unexpected(TrustError{TrustFailure::kLibraryRefused, checked.error().message});
  }
  return manifest;
}

}  // namespace kiln::cache
