#include "base/sha256.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(Sha256Test, KnownVectorsFromFips180) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, HexRoundTripsAndRefusesWhatIsNoDigest) {
  const Digest digest = sha256("kiln");
  EXPECT_EQ(Digest::from_hex(digest.hex()).value(), digest);
  EXPECT_FALSE(Digest::from_hex("ab").has_value());
  EXPECT_FALSE(Digest::from_hex(std::string(64, 'G')).has_value());
}

}  // namespace
}  // namespace kiln
