// What is known about one artifact, in canonical bytes: the thing that is signed.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"

namespace kiln::cache {

// One input or output of the compiled function, in the order of the call.
struct TensorSpec {
  std::string name;
  std::string dtype;   // "float32", "float16", "bfloat16", "int64", …
  std::string device;  // "cpu", "cuda"
  std::vector<std::int64_t> shape_min;  // equal to shape_max where the dimension is fixed
  std::vector<std::int64_t> shape_max;
  std::vector<std::int64_t> strides;    // in elements; kStrideFollowsShape where a dynamic dimension decides
  std::uint32_t alignment_bytes = 1;    // of the first element; a power of two

  bool operator==(const TensorSpec&) const = default;
};
inline constexpr std::int64_t kStrideFollowsShape = -1;

// What a call is about to hand over.
struct TensorView {
  std::string_view dtype;
  std::string_view device;
  std::span<const std::int64_t> shape;
  std::span<const std::int64_t> strides;
  std::uint64_t address = 0;
};

// Nothing in LibTorch compares a compiled function's inputs with what it was compiled for; this does.
// The stride of a dimension of size 1 is free, as in LibTorch itself.
[[nodiscard]] Status check_tensor(const TensorSpec& spec, const TensorView& tensor);

struct ArtifactManifest {
  Digest key;             // the artifact key this content answers
  Digest content_sha256;  // of the shared library
  std::uint64_t content_bytes = 0;
  std::string device_arch;  // "cpu", "sm_90"
  std::string isa;          // "avx2", "avx512": the host code's level
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::map<std::string, std::string> toolchain;  // torch git hash, compiler, glibc level, …
  std::uint64_t compile_us = 0;
  std::uint64_t compile_peak_rss_bytes = 0;
  std::uint64_t run_us = 0;
  std::uint64_t run_peak_bytes = 0;
  std::string builder;  // key id of the signer
  std::int64_t created_unix_s = 0;
  std::int64_t expires_unix_s = 0;  // 0: never
  std::uint64_t epoch = 0;          // raised to make everything older invalid

  bool operator==(const ArtifactManifest&) const = default;
};

inline constexpr std::uint64_t kManifestBytesMax = 4ULL << 20U;
inline constexpr std::string_view kManifestPayloadType = "application/vnd.kiln.artifact.v1+json";

// Canonical: JSON without spaces, keys sorted, integers only. decode() refuses every other spelling, so
// that one manifest has one form.
[[nodiscard]] std::string encode_manifest(const ArtifactManifest& manifest);
[[nodiscard]] Result<ArtifactManifest> decode_manifest(std::string_view bytes);

// DSSE's pre-authentication encoding: "DSSEv1" SP length SP type SP length SP body.
[[nodiscard]] std::string pre_authentication_encoding(std::string_view type, std::string_view body);

}  // namespace kiln::cache
