#include "cache_store/artifact_admission.h"

#include <array>

#include "base/sealed_file.h"
#include "cache_store/artifact_file_check.h"

namespace kiln::cache {
namespace {

constexpr std::size_t kKernelFileBytesMax = 64U << 20U;
constexpr std::size_t kElfHeaderBytes = 64;

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

Status check_kernel_file(std::span<const std::byte> image) {
  // Magic, 64 bits, little endian, version; then a type, and the machine EM_CUDA.
  constexpr std::array<unsigned char, 7> kIdent{0x7f, 'E', 'L', 'F', 2, 1, 1};
  constexpr std::size_t kMachineAt = 18;
  constexpr unsigned kCuda = 190;
  if (image.size() > kKernelFileBytesMax) {
    return fail(input_refused("kernels of {} bytes: at most {} are taken", image.size(), kKernelFileBytesMax));
  }
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(image[i]); };
  bool fits = image.size() >= kElfHeaderBytes;
  for (std::size_t i = 0; fits && i < kIdent.size(); ++i) fits = byte(i) == kIdent[i];
  if (fits && (byte(kMachineAt) | byte(kMachineAt + 1) << 8U) == kCuda) return {};
  return fail(input_refused("not an ELF file for NVIDIA's cards"));
}

Trusted<ArtifactManifest> admit_kernels(std::string_view envelope, int sealed_fd, const Digest& expected_key,
                                        std::string_view arch, const TrustedKeys& trusted, std::int64_t now_unix_s) {
  auto manifest = verify_artifact(envelope, sealed_fd, expected_key, trusted, now_unix_s);
  if (!manifest) return manifest;
  const auto mapping = Mapping::map(sealed_fd);
  if (!mapping) return tl::unexpected(TrustError{TrustFailure::kUnreadable, mapping.error().message});
  if (const Status checked = check_kernel_file(mapping->bytes()); !checked) {
    return tl::unexpected(TrustError{TrustFailure::kLibraryRefused, checked.error().message});
  }
  if (manifest->device_arch != arch) {
    return tl::unexpected(TrustError{TrustFailure::kLibraryRefused,
                                     fmt::format("kernels for {}, and this card is {}", manifest->device_arch, arch)});
  }
  return manifest;
}

}  // namespace kiln::cache
