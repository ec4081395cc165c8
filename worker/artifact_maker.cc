#include "worker/artifact_maker.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "base/log.h"
#include "base/sealed_file.h"
#include "base/wall_clock.h"
#include "cache_store/artifact_admission.h"
#include "cache_store/artifact_file_check.h"
#include "cache_store/artifact_trust.h"

namespace kiln::worker {
namespace {

cache::TensorSpec manifest_tensor(const sharding::TensorSpec& spec, std::string name, const std::string& device) {
  cache::TensorSpec tensor;
  tensor.name = std::move(name);
  tensor.dtype = spec.dtype;
  tensor.device = device;
  for (const auto& dim : spec.shape) {
    tensor.shape_min.push_back(dim.min);
    tensor.shape_max.push_back(dim.max);
  }
  tensor.strides = spec.strides;
  if (tensor.strides.empty()) tensor.strides.assign(spec.shape.size(), cache::kStrideFollowsShape);
  tensor.alignment_bytes = sharding::kTensorAlignmentBytes;
  return tensor;
}

std::vector<cache::TensorSpec> manifest_tensors(const std::vector<sharding::TensorSpec>& specs,
                                                const std::string& prefix, const std::string& device) {
  std::vector<cache::TensorSpec> tensors;
  for (const auto& spec : specs) {
    tensors.push_back(manifest_tensor(spec, prefix + std::to_string(tensors.size()), device));
  }
  return tensors;
}

// Of the key's fields: it was made for what they say.
std::string field(const sharding::CompileKey& key, std::string_view name) {
  for (const auto& [field, value] : key.fields) {
    if (field == name) return value;
  }
  return {};
}

std::uint64_t micros(double value, double per_unit) {
  return static_cast<std::uint64_t>(std::llround(value * per_unit));
}

cache::ArtifactManifest describe(const MakerContext& context, const sharding::CompileKey& key, const std::string& arch,
                                 const CompiledLibrary& made) {
  const auto& toolchain = context.options->toolchain;
  cache::ArtifactManifest manifest;
  manifest.key = key.digest;
  manifest.content_sha256 = sha256(made.library);
  manifest.content_bytes = made.library.size();
  manifest.device_arch = arch;
  manifest.toolchain = {{"torch_version", toolchain.torch_version}, {"torch_git", toolchain.torch_git},
                        {"compiler", toolchain.compiler},           {"libc", toolchain.libc},
                        {"recipe_sha256", toolchain.recipe_sha256}, {"cuda", toolchain.cuda},
                        {"triton", toolchain.triton}};
  manifest.compile_us = micros(made.compile_s, 1e6);
  manifest.compile_peak_rss_bytes = made.compile_peak_rss_bytes;
  manifest.run_us = micros(made.run_ms, 1e3);
  manifest.run_peak_bytes = made.run_peak_bytes;
  manifest.created_unix_s = unix_seconds();
  manifest.epoch = context.options->epoch;
  return manifest;
}

// Signs and publishes.
Result<std::shared_ptr<const ReadyArtifact>> publish(const MakerContext& context, const sharding::CompileKey& key,
                                                     cache::ArtifactManifest manifest, const std::string& content) {
  auto ready = std::make_shared<ReadyArtifact>();
  ready->key = key;
  ready->manifest = std::move(manifest);
  ready->manifest.builder = context.signing_key->public_key().id();
  ready->envelope = cache::sign_manifest(ready->manifest, *context.signing_key);
  KILN_TRY_ASSIGN(ready->content, make_sealed("kiln-artifact", std::as_bytes(std::span(content))));
  ready->source = ArtifactSource::kCompiled;
  KILN_TRY_ASSIGN(const cache::PublishOutcome outcome,
                  context.store->publish(key.digest, ready->envelope, ready->content.get()));
  if (outcome == cache::PublishOutcome::kAlreadyThere) {
    KILN_TRY_ASSIGN(auto first, find_artifact(*context.store, key));
    if (first) return first;
    log::warn("artifact {}: what was published first cannot be read; using what was compiled here", key.hex());
  }
  return std::shared_ptr<const ReadyArtifact>(std::move(ready));
}

// What a lane would refuse is not published either.
Status check_file(std::string& library) {
  const auto bytes = std::as_writable_bytes(std::span(library));
  KILN_TRY(cache::clear_executable_stack(bytes));
  KILN_TRY_ASSIGN(const cache::ArtifactFileReport report, cache::check_artifact_file(bytes));
  return cache::check_symbol_versions(report, cache::running_glibc(), cache::running_libstdcxx());
}

}  // namespace

Result<std::shared_ptr<const ReadyArtifact>> find_artifact(cache::Store& store, const sharding::CompileKey& key) {
  KILN_TRY_ASSIGN(std::optional<cache::StoredArtifact> stored, store.find(key.digest));
  if (!stored) return std::shared_ptr<const ReadyArtifact>();
  auto ready = std::make_shared<ReadyArtifact>();
  ready->key = key;
  ready->envelope = std::move(stored->envelope);
  ready->content = std::move(stored->content);
  ready->manifest = std::move(stored->manifest);
  ready->source = ArtifactSource::kStore;
  return std::shared_ptr<const ReadyArtifact>(std::move(ready));
}

Result<std::shared_ptr<const ReadyArtifact>> make_artifact(const MakerContext& context,
                                                           const sharding::CompileKey& key,
                                                           const std::vector<sharding::TensorSpec>& inputs,
                                                           CompiledLibrary made) {
  KILN_TRY(check_file(made.library));
  const std::string arch = field(key, "target.arch");
  const std::string device = arch == "cpu" ? "cpu" : "cuda";
  cache::ArtifactManifest manifest = describe(context, key, arch, made);
  manifest.isa = field(key, "target.isa");
  manifest.inputs = manifest_tensors(inputs, "input.", device);
  manifest.outputs = manifest_tensors(made.outputs, "output.", device);
  return publish(context, key, std::move(manifest), made.library);
}

Result<std::shared_ptr<const ReadyArtifact>> make_kernel_artifact(const MakerContext& context,
                                                                  const sharding::CompileKey& key, const std::string& arch,
                                                                  CompiledLibrary made) {
  KILN_TRY(cache::check_kernel_file(std::as_bytes(std::span(made.library))));
  return publish(context, key, describe(context, key, arch, made), made.library);
}

}  // namespace kiln::worker
