#include "cache_store/artifact_admission.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/fd.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using test::key_of;

Trusted<ArtifactManifest> admit(const std::string& library, const Digest& asked_for) {
  const SigningKey signer = *SigningKey::generate();
  const std::string envelope = test::envelope_of(key_of("k"), library, signer);
  return admit_artifact(envelope, test::sealed(library).get(), asked_for, test::trusting(signer), test::kNow);
}

std::string sample() {
  return *read_file(std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/libkiln_elf_sample.so", 16U << 20U);
}

TEST(ArtifactAdmissionTest, AdmitsASignedSoundLibrary) {
  const auto manifest = admit(sample(), key_of("k"));
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->content_sha256, sha256(sample()));
}

TEST(ArtifactAdmissionTest, RefusesASignedLibraryThatTheCheckRefuses) {
  for (const std::string& bad : {std::string("no library"), sample().substr(0, 2000)}) {
    const auto manifest = admit(bad, key_of("k"));
    ASSERT_FALSE(manifest);
    EXPECT_EQ(manifest.error().reason, TrustFailure::kLibraryRefused);
  }
  std::string evil = sample();
  evil.replace(evil.find("libstdc++.so.6"), 14, "libstdc++.so.7");
  EXPECT_EQ(admit(evil, key_of("k")).error().reason, TrustFailure::kLibraryRefused);
}

TEST(ArtifactAdmissionTest, TrustComesFirst) {
  EXPECT_EQ(admit("no library", key_of("another")).error().reason, TrustFailure::kKeyMismatch);
}

// ---- kernels ----

// The header of a 64-bit ELF file for `machine`, and something behind it.
std::string kernel_file(int machine) {
  std::string file = std::string("\x7f" "ELF\x02\x01\x01", 7) + std::string(93, '\0');
  file[18] = static_cast<char>(machine);
  return file;
}

Trusted<ArtifactManifest> admit_for(const std::string& arch, const std::string& content, const Digest& asked_for) {
  const SigningKey signer = *SigningKey::generate();
  ArtifactManifest manifest = test::manifest_of(key_of("k"), content);
  manifest.device_arch = "sm_90";
  const std::string envelope = sign_manifest(manifest, signer);
  return admit_kernels(envelope, test::sealed(content).get(), asked_for, arch, test::trusting(signer), test::kNow);
}

TEST(KernelAdmissionTest, AdmitsSignedCodeForThisCard) {
  const auto manifest = admit_for("sm_90", kernel_file(190), key_of("k"));
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->device_arch, "sm_90");
}

TEST(KernelAdmissionTest, RefusesOtherCardsOtherFilesAndOtherKeys) {
  EXPECT_EQ(admit_for("sm_75", kernel_file(190), key_of("k")).error().reason, TrustFailure::kLibraryRefused);
  EXPECT_EQ(admit_for("sm_90", kernel_file(62), key_of("k")).error().reason, TrustFailure::kLibraryRefused);
  EXPECT_EQ(admit_for("sm_90", kernel_file(190).substr(0, 63), key_of("k")).error().reason, TrustFailure::kLibraryRefused);
  EXPECT_EQ(admit_for("sm_90", "", key_of("k")).error().reason, TrustFailure::kLibraryRefused);
  EXPECT_EQ(admit_for("sm_90", "no kernels", key_of("another")).error().reason, TrustFailure::kKeyMismatch);
}

}  // namespace
}  // namespace kiln::cache
