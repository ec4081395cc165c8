// The artifact key: SHA-256 over everything that shapes an artifact's code, and nothing else. Threads,
// lanes, clip length, memory and weights are not in it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "sharding/compile_settings.h"
#include "sharding/isa_level.h"

namespace kiln::sharding {

// Raised when the key's fields or an artifact's calling convention change meaning.
inline constexpr std::uint32_t kArtifactFormatVersion = 1;
// Every tensor handed to an artifact starts at a multiple of this; generated code may rely on it.
inline constexpr std::uint32_t kTensorAlignmentBytes = 16;

struct DimRange {
  std::int64_t min = 1;
  std::int64_t max = 1;  // == min: static
  [[nodiscard]] bool is_static() const { return min == max; }
  auto operator<=>(const DimRange&) const = default;
};
[[nodiscard]] inline DimRange static_dim(std::int64_t size) { return {size, size}; }

// One input of the compiled function, as the artifact will be called: frames first, then parameters.
struct TensorSpec {
  std::vector<DimRange> shape;
  std::string dtype;                  // "float32", "float16", "bfloat16", "int64", …
  std::vector<std::int64_t> strides;  // in elements; empty where the shape has a range: contiguous_or_channels_last
  bool channels_last = false;
  bool operator==(const TensorSpec&) const = default;
};

// Static spec with dense strides (channels_last needs four dimensions).
[[nodiscard]] TensorSpec dense_tensor(const std::vector<std::int64_t>& shape, std::string dtype,
                                      bool channels_last);

// The shapes that one artifact serves. Batch is always 1 and a temporal network always sees its full
// window, so neither the length of a clip nor a short last segment ever makes another bucket.
struct ShapeBucket {
  std::vector<TensorSpec> inputs;
  bool operator==(const ShapeBucket&) const = default;
};

struct CompileTarget {
  std::string arch = "cpu";       // "cpu", "sm_90", …
  IsaLevel isa = IsaLevel::kNone;  // of the host code, for every arch
  std::string device_name;        // only for autotuned modes on a GPU; empty else
  bool operator==(const CompileTarget&) const = default;
};

// Who builds. Two hosts with equal toolchains share artifacts.
struct Toolchain {
  std::string torch_version;  // "2.11.0+cu130"
  std::string torch_git;
  std::string cuda;           // empty for arch "cpu"
  std::string triton;         // empty for arch "cpu"
  std::string compiler;       // first line of g++ --version
  std::string libc;           // "glibc 2.36"
  std::string recipe_sha256;  // of the compile child's recipe: the options that it gives Inductor and g++
  bool operator==(const Toolchain&) const = default;
};

struct CompileKeyInputs {
  std::string graph_sha256;  // of the exported program's JSON
  std::string component = "network";
  ShapeBucket bucket;
  CompileSettings settings;
  CompileTarget target;
  Toolchain toolchain;
};

// The canonical fields in their fixed order, kept for `explain` and for the manifest.
struct CompileKey {
  Digest digest;
  std::vector<std::pair<std::string, std::string>> fields;
  [[nodiscard]] std::string hex() const { return digest.hex(); }
};

[[nodiscard]] CompileKey make_compile_key(const CompileKeyInputs& inputs);

// Kernels of our own: CUDA source, compiled for one kind of card.
struct KernelKeyInputs {
  std::string source_sha256;
  std::vector<std::string> options;  // of the compiler, in their order
  std::string arch;                  // "sm_90"
  Toolchain toolchain;               // torch and CUDA of it: they come with their NVRTC
};
[[nodiscard]] CompileKey make_kernel_key(const KernelKeyInputs& inputs);

struct KeyDifference {
  std::string field;
  std::string left;   // empty: the left key lacks the field
  std::string right;
};
// Which fields make two keys differ; empty for equal keys.
[[nodiscard]] std::vector<KeyDifference> explain_difference(const CompileKey& left, const CompileKey& right);
// One line: "target.isa: avx2 here, avx512 there; …"
[[nodiscard]] std::string describe(const std::vector<KeyDifference>& differences);

}  // namespace kiln::sharding
