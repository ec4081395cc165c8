// Keys, contents and signed manifests for tests of the store.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/sealed_file.h"
#include "cache_store/artifact_trust.h"

namespace kiln::cache::test {

inline constexpr std::int64_t kNow = 1'800'000'000;

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

inline Digest key_of(std::string_view name) { return sha256(name); }

inline ArtifactManifest manifest_of(const Digest& key, std::string_view content) {
  ArtifactManifest manifest;
  manifest.key = key;
  manifest.content_sha256 = sha256(content);
  manifest.content_bytes = content.size();
  manifest.device_arch = "cpu";
  manifest.isa = "avx2";
  manifest.inputs = {{"x", "float32", "cpu", {1, 3, 64, 64}, {1, 3, 64, 64}, {12288, 1, 192, 3}, 64},
                     {"w", "float32", "cpu", {8, 3}, {8, 3}, {3, 1}, 64}};
  manifest.outputs = {{"y", "float32", "cpu", {1, 3, 16, 16}, {1, 3, 512, 512},
                       {kStrideFollowsShape, 1, kStrideFollowsShape, 3}, 16}};
  manifest.toolchain = {{"torch", "2.11.0"}, {"compiler", "g++ 12.2"}};
  manifest.compile_us = 9'500'000;
  manifest.compile_peak_rss_bytes = 900 << 20U;
  manifest.run_us = 120'000;
  manifest.run_peak_bytes = 64 << 20U;
  manifest.created_unix_s = kNow - 10;
  manifest.epoch = 3;
  return manifest;
}

inline std::string envelope_of(const Digest& key, std::string_view content, const SigningKey& signer) {
  return sign_manifest(manifest_of(key, content), signer);
}

inline UniqueFd sealed(std::string_view content) {
  auto fd = make_sealed("test", bytes_of(content));
  EXPECT_TRUE(fd);
  return std::move(*fd);
}

inline TrustedKeys trusting(const SigningKey& key) {
  TrustedKeys trusted;
  trusted.trust(key.public_key());
  return trusted;
}

inline std::string text_of(int fd) { return std::string(Mapping::map(fd)->text()); }

}  // namespace kiln::cache::test
