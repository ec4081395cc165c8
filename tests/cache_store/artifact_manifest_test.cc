#include "cache_store/artifact_manifest.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using test::key_of;
using test::manifest_of;

TEST(ArtifactManifestTest, SurvivesEncodingAndDecoding) {
  const ArtifactManifest manifest = manifest_of(key_of("k"), "content");
  const auto decoded = decode_manifest(encode_manifest(manifest));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, manifest);
}

TEST(ArtifactManifestTest, CanonicalBytesAreTheGoldenOnes) {
  ArtifactManifest manifest;
  manifest.device_arch = "cpu";
  manifest.inputs = {{"x", "float32", "cpu", {1}, {2}, {-1}, 4}};
  manifest.toolchain = {{"torch", "2.11.0"}};
  const std::string zeros(64, '0');
  EXPECT_EQ(encode_manifest(manifest),
            R"({"builder":"","compile_peak_rss_bytes":0,"compile_us":0,"content_bytes":0,"content_sha256":")" + zeros +
                R"(","created_unix_s":0,"device_arch":"cpu","epoch":0,"expires_unix_s":0,"format_version":1,)"
                R"("inputs":[{"alignment_bytes":4,"device":"cpu","dtype":"float32","name":"x","shape_max":[2],)"
                R"("shape_min":[1],"strides":[-1]}],"isa":"","key":")" + zeros +
                R"(","outputs":[],"run_peak_bytes":0,"run_us":0,"toolchain":{"torch":"2.11.0"}})");
}

TEST(ArtifactManifestTest, RefusesEveryOtherSpelling) {
  const std::string good = encode_manifest(manifest_of(key_of("k"), "content"));
  ASSERT_TRUE(decode_manifest(good));
  EXPECT_FALSE(decode_manifest(good + " "));
  EXPECT_FALSE(decode_manifest(" " + good));
  EXPECT_FALSE(decode_manifest(R"({"a":1,)" + good.substr(1)));
  EXPECT_FALSE(decode_manifest(R"({"epoch":3,)" + good.substr(1)));  // a field twice
  EXPECT_FALSE(decode_manifest(""));
  EXPECT_FALSE(decode_manifest("[]"));
  std::string version = good;
  version.replace(version.find("\"format_version\":1"), 18, "\"format_version\":2");
  EXPECT_FALSE(decode_manifest(version));
}

TEST(ArtifactManifestTest, RefusesInconsistentTensors) {
  const auto refused = [](auto change) {
    ArtifactManifest manifest = manifest_of(key_of("k"), "content");
    change(manifest.inputs[0]);
    return !decode_manifest(encode_manifest(manifest));
  };
  EXPECT_TRUE(refused([](TensorSpec& t) { t.strides.pop_back(); }));
  EXPECT_TRUE(refused([](TensorSpec& t) { t.shape_min.push_back(1); }));
  EXPECT_TRUE(refused([](TensorSpec& t) { t.shape_min[0] = 2; }));
  EXPECT_TRUE(refused([](TensorSpec& t) { t.shape_min[0] = -1; }));
  EXPECT_TRUE(refused([](TensorSpec& t) { t.strides[0] = -2; }));
  EXPECT_TRUE(refused([](TensorSpec& t) { t.alignment_bytes = 0; }));  // a division by it follows
  EXPECT_TRUE(refused([](TensorSpec& t) { t.alignment_bytes = 48; }));
}

TEST(ArtifactManifestTest, DecodesNoRandomChangeToSomethingElse) {
  const std::string good = encode_manifest(manifest_of(key_of("k"), "content"));
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (std::uint64_t n = random() % 3; n <= 2; ++n) bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const auto decoded = decode_manifest(bytes);
    if (decoded) {
      EXPECT_EQ(encode_manifest(*decoded), bytes);
    }
  }
}

TEST(ArtifactManifestTest, PreAuthenticationEncodingIsThatOfDsse) {
  EXPECT_EQ(pre_authentication_encoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

struct Call {
  std::string dtype = "float32";
  std::string device = "cpu";
  std::vector<std::int64_t> shape{1, 3, 64, 64};
  std::vector<std::int64_t> strides{12288, 1, 192, 3};
  std::uint64_t address = 4096;
};

bool accepted(const TensorSpec& spec, const Call& call) {
  return check_tensor(spec, {call.dtype, call.device, call.shape, call.strides, call.address}).has_value();
}

TEST(CheckTensorTest, RefusesWhateverTheArtifactWasNotCompiledFor) {
  const TensorSpec spec = manifest_of(key_of("k"), "c").inputs[0];
  EXPECT_TRUE(accepted(spec, {}));
  EXPECT_FALSE(accepted(spec, {.dtype = "bfloat16"}));
  EXPECT_FALSE(accepted(spec, {.device = "cuda"}));
  EXPECT_FALSE(accepted(spec, {.shape = {1, 3, 64, 65}}));
  EXPECT_FALSE(accepted(spec, {.shape = {3, 64, 64}}));
  EXPECT_FALSE(accepted(spec, {.strides = {12288, 4096, 64, 1}}));
  EXPECT_FALSE(accepted(spec, {.strides = {1}}));
  EXPECT_FALSE(accepted(spec, {.address = 4096 + 32}));
  EXPECT_TRUE(accepted(spec, {.strides = {7, 1, 192, 3}}));  // the batch of 1 is never stepped over
}

TEST(CheckTensorTest, HoldsTheRangeOfADynamicShape) {
  const TensorSpec spec = manifest_of(key_of("k"), "c").outputs[0];
  EXPECT_TRUE(accepted(spec, {}));
  EXPECT_TRUE(accepted(spec, {.shape = {1, 3, 512, 512}, .strides = {786432, 1, 1536, 3}}));
  EXPECT_FALSE(accepted(spec, {.shape = {1, 3, 513, 512}, .strides = {787968, 1, 1536, 3}}));
  EXPECT_FALSE(accepted(spec, {.shape = {1, 3, 15, 512}}));
}

TEST(CheckTensorTest, NamesTensorAndBothSides) {
  const TensorSpec spec = manifest_of(key_of("k"), "c").inputs[1];
  const std::int64_t shape[] = {10, 3};
  const std::int64_t strides[] = {3, 1};
  const Status status = check_tensor(spec, {"float32", "cpu", shape, strides, 0});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "tensor 'w': the artifact was compiled for shape [8,3], not [10,3]");
}

}  // namespace
}  // namespace kiln::cache
