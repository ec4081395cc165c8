#include "sharding/compile_key.h"

#include <algorithm>

#include "base/check.h"

namespace kiln::sharding {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

std::string describe_tensor(const TensorSpec& spec) {
  std::vector<std::string> dims;
  for (const auto& dim : spec.shape) {
    dims.push_back(dim.is_static() ? std::to_string(dim.min) : fmt::format("{}..{}", dim.min, dim.max));
  }
  std::vector<std::string> strides;
  for (const auto stride : spec.strides) strides.push_back(std::to_string(stride));
  return fmt::format("{}[{}]({}){}", spec.dtype, join(dims), join(strides),
                     spec.channels_last ? "channels_last" : "");
}

void add_settings(const CompileSettings& settings, Fields& fields) {
  fields.emplace_back("settings.backend", to_string(settings.backend));
  fields.emplace_back("settings.mode", to_string(code_mode(settings.mode)));
  fields.emplace_back("settings.dynamic", settings.dynamic ? "true" : "false");
  fields.emplace_back("settings.compile_transformer_blocks_only",
                      settings.compile_transformer_blocks_only ? "true" : "false");
}

void add_toolchain(const Toolchain& toolchain, Fields& fields) {
  fields.emplace_back("toolchain.torch_version", toolchain.torch_version);
  fields.emplace_back("toolchain.torch_git", toolchain.torch_git);
  fields.emplace_back("toolchain.cuda", toolchain.cuda);
  fields.emplace_back("toolchain.triton", toolchain.triton);
  fields.emplace_back("toolchain.compiler", toolchain.compiler);
  fields.emplace_back("toolchain.libc", toolchain.libc);
  fields.emplace_back("toolchain.recipe_sha256", toolchain.recipe_sha256);
}

// Length-prefixed, so that no two lists of fields have the same bytes.
Digest digest_of(const Fields& fields) {
  Sha256 hash;
  hash.update("kiln artifact key\n");
  for (const auto& [name, value] : fields) {
    hash.update(fmt::format("{}:{}={}:{}\n", name.size(), name, value.size(), value));
  }
  return hash.finish();
}

const std::string* find(const Fields& fields, const std::string& name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; });
  return found == fields.end() ? nullptr : &found->second;
}

}  // namespace

TensorSpec dense_tensor(const std::vector<std::int64_t>& shape, std::string dtype, bool channels_last) {
  KILN_CHECK(!channels_last || shape.size() == 4, "channels_last with {} dimensions", shape.size());
  TensorSpec spec;
  spec.dtype = std::move(dtype);
  spec.channels_last = channels_last;
  spec.strides.assign(shape.size(), 1);
  std::vector<std::size_t> innermost_first;
  if (channels_last) {
    innermost_first = {1, 3, 2, 0};
  } else {
    for (std::size_t i = shape.size(); i > 0; --i) innermost_first.push_back(i - 1);
  }
  std::int64_t stride = 1;
  for (const std::size_t dim : innermost_first) {
    spec.strides[dim] = stride;
    stride *= std::max<std::int64_t>(shape[dim], 1);
  }
  for (const auto size : shape) spec.shape.push_back(static_dim(size));
  return spec;
}

CompileKey make_compile_key(const CompileKeyInputs& inputs) {
  CompileKey key;
  key.fields.emplace_back("format_version", std::to_string(kArtifactFormatVersion));
  key.fields.emplace_back("graph_sha256", inputs.graph_sha256);
  key.fields.emplace_back("component", inputs.component);
  key.fields.emplace_back("alignment_bytes", std::to_string(kTensorAlignmentBytes));
  key.fields.emplace_back("inputs", std::to_string(inputs.bucket.inputs.size()));
  for (std::size_t i = 0; i < inputs.bucket.inputs.size(); ++i) {
    key.fields.emplace_back(fmt::format("input.{}", i), describe_tensor(inputs.bucket.inputs[i]));
  }
  add_settings(inputs.settings, key.fields);
  key.fields.emplace_back("target.arch", inputs.target.arch);
  key.fields.emplace_back("target.isa", to_string(inputs.target.isa));
  key.fields.emplace_back("target.device_name", inputs.target.device_name);
  add_toolchain(inputs.toolchain, key.fields);
  key.digest = digest_of(key.fields);
  return key;
}

CompileKey make_kernel_key(const KernelKeyInputs& inputs) {
  CompileKey key;
  key.fields.emplace_back("format_version", std::to_string(kArtifactFormatVersion));
  key.fields.emplace_back("kernels.source_sha256", inputs.source_sha256);
  for (std::size_t i = 0; i < inputs.options.size(); ++i) {
    key.fields.emplace_back(fmt::format("kernels.option.{}", i), inputs.options[i]);
  }
  key.fields.emplace_back("target.arch", inputs.arch);
  key.fields.emplace_back("toolchain.torch_version", inputs.toolchain.torch_version);
  key.fields.emplace_back("toolchain.torch_git", inputs.toolchain.torch_git);
  key.fields.emplace_back("toolchain.cuda", inputs.toolchain.cuda);
  key.digest = digest_of(key.fields);
  return key;
}

std::vector<KeyDifference> explain_difference(const CompileKey& left, const CompileKey& right) {
  std::vector<KeyDifference> differences;
  for (const auto& [name, value] : left.fields) {
    const std::string* other = find(right.fields, name);
    if (other == nullptr || *other != value) {
      differences.push_back({name, value, other == nullptr ? std::string() : *other});
    }
  }
  for (const auto& [name, value] : right.fields) {
    if (find(left.fields, name) == nullptr) differences.push_back({name, {}, value});
  }
  return differences;
}

std::string describe(const std::vector<KeyDifference>& differences) {
  std::string text;
  for (const auto& d : differences) {
    text += fmt::format("{}{}: {} here, {} there", text.empty() ? "" : "; ", d.field,
                        d.left.empty() ? "nothing" : d.left, d.right.empty() ? "nothing" : d.right);
  }
  return text;
}

}  // namespace kiln::sharding
