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

}  // namespace
}  // namespace kiln::cache
