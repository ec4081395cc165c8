#include "cache_store/artifact_trust.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <set>

#include "cache_store/artifact_manifest.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using test::key_of;
using test::kNow;
using test::manifest_of;
using test::sealed;

// One artifact with everything right; each test makes one thing wrong.
class ArtifactTrustTest : public ::testing::Test {
 protected:
  TrustFailure reason(std::string_view signed_text, int content_fd) const {
    return reason(signed_text, content_fd, trusted);
  }
  TrustFailure reason(std::string_view signed_text, int content_fd, const TrustedKeys& keys) const {
    const auto verified = verify_artifact(signed_text, content_fd, key, keys, kNow);
    EXPECT_FALSE(verified) << "was accepted";
    if (verified) return TrustFailure::kUnreadable;
    EXPECT_FALSE(verified.error().message.empty());
    return verified.error().reason;
  }
  const SigningKey signer = *SigningKey::generate();
  const SigningKey stranger = *SigningKey::generate();
  const TrustedKeys trusted = test::trusting(signer);
  const Digest key = key_of("the key");
  const std::string content = std::string(5000, 'c') + "end";
  const std::string envelope = test::envelope_of(key, content, signer);
  const UniqueFd fd = sealed(content);
};

TEST_F(ArtifactTrustTest, AcceptsWhatASignerBoundToThisKey) {
  const auto verified = verify_artifact(envelope, fd.get(), key, trusted, kNow);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->builder, signer.public_key().id());
  EXPECT_EQ(verified->inputs, manifest_of(key, content).inputs);
}

TEST_F(ArtifactTrustTest, RefusesAnyFlippedBitOfTheEnvelope) {
  for (std::size_t byte = 0; byte < envelope.size(); ++byte) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string changed = envelope;
      changed[byte] = static_cast<char>(static_cast<unsigned char>(changed[byte]) ^ (1U << bit));
      ASSERT_FALSE(verify_envelope(changed, key, trusted, kNow)) << "byte " << byte << " bit " << bit;
    }
  }
}

TEST_F(ArtifactTrustTest, RefusesAnyFlippedBitOfTheContent) {
  for (std::size_t byte = 0; byte < content.size(); byte += 97) {
    std::string changed = content;
    changed[byte] = static_cast<char>(changed[byte] ^ 1);
    EXPECT_EQ(reason(envelope, sealed(changed).get()), TrustFailure::kContentMismatch);
  }
  EXPECT_EQ(reason(envelope, sealed(content.substr(1)).get()), TrustFailure::kLengthMismatch);
  EXPECT_EQ(reason(envelope, sealed("").get()), TrustFailure::kLengthMismatch);
}

TEST_F(ArtifactTrustTest, RefusesTheArtifactOfAnotherKey) {
  const std::string other = test::envelope_of(key_of("another"), content, signer);
  EXPECT_EQ(reason(other, fd.get()), TrustFailure::kKeyMismatch);
}

TEST_F(ArtifactTrustTest, RefusesSwappedContentsOfTwoSignedArtifacts) {
  const std::string second(content.size(), 'd');
  EXPECT_EQ(reason(envelope, sealed(second).get()), TrustFailure::kContentMismatch);
}

TEST_F(ArtifactTrustTest, RefusesStrangersAndRevokedSigners) {
  EXPECT_EQ(reason(test::envelope_of(key, content, stranger), fd.get()), TrustFailure::kSignerUnknown);
  TrustedKeys keys = trusted;
  keys.revoke(signer.public_key().id());
  EXPECT_EQ(reason(envelope, fd.get(), keys), TrustFailure::kSignerRevoked);
  keys.trust(signer.public_key());  // trusting it again does not undo that
  EXPECT_EQ(reason(envelope, fd.get(), keys), TrustFailure::kSignerRevoked);
}

TEST_F(ArtifactTrustTest, RefusesAStrangersSignatureUnderATrustedName) {
  std::string forged = test::envelope_of(key, content, stranger);
  const std::string from = stranger.public_key().id();
  forged.replace(forged.find("\"keyid\":\"") + 9, from.size(), signer.public_key().id());
  EXPECT_EQ(reason(forged, fd.get()), TrustFailure::kSignatureWrong);
}

TEST_F(ArtifactTrustTest, RefusesAReplayedEpoch) {
  TrustedKeys keys = trusted;
  keys.raise_minimum_epoch(3);
  EXPECT_TRUE(verify_artifact(envelope, fd.get(), key, keys, kNow));
  keys.raise_minimum_epoch(4);
  EXPECT_EQ(reason(envelope, fd.get(), keys), TrustFailure::kEpochTooOld);
}

TEST_F(ArtifactTrustTest, RefusesWhatHasExpired) {
  ArtifactManifest manifest = manifest_of(key, content);
  manifest.expires_unix_s = kNow;
  EXPECT_EQ(reason(sign_manifest(manifest, signer), fd.get()), TrustFailure::kExpired);
  manifest.expires_unix_s = kNow + 1;
  EXPECT_TRUE(verify_artifact(sign_manifest(manifest, signer), fd.get(), key, trusted, kNow));
}

TEST_F(ArtifactTrustTest, RefusesContentThatCouldStillChange) {
  const UniqueFd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(write_fully(open.get(), test::bytes_of(content)));
  EXPECT_EQ(reason(envelope, open.get()), TrustFailure::kNotSealed);
  ASSERT_EQ(::fcntl(open.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
  EXPECT_EQ(reason(envelope, open.get()), TrustFailure::kNotSealed);  // it could grow
  EXPECT_EQ(reason(envelope, -1), TrustFailure::kNotSealed);
}

TEST_F(ArtifactTrustTest, RefusesUnsignedEnvelopesAndOtherShapes) {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("null"), std::string(100000, '['),
        std::string(R"({"payload":"","payloadType":"x","signatures":[]})")}) {
    EXPECT_EQ(reason(text, fd.get()), TrustFailure::kEnvelopeMalformed);
  }
}

TEST_F(ArtifactTrustTest, RefusesAnotherFormatOfPayload) {
  std::string other = envelope;
  other.replace(other.find("artifact.v1"), 11, "artifact.v2");
  EXPECT_EQ(reason(other, fd.get()), TrustFailure::kPayloadTypeUnknown);
}

TEST_F(ArtifactTrustTest, ANameForEveryReason) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(TrustFailure::kUnreadable); ++i) {
    names.insert(to_string(static_cast<TrustFailure>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(TrustFailure::kUnreadable) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

}  // namespace
}  // namespace kiln::cache
