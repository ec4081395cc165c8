#include "lane/engine/network_weights.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <cstring>

#include "lane/engine/safetensors.h"
#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

// As the importer writes them, also where a side is 1 and any stride would do: the strides are part of
// what an artifact is compiled for.
std::vector<std::int64_t> channels_last_strides(const std::vector<std::int64_t>& shape) {
  return {shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]};
}

Result<const StoredTensor*> find_stored(const StoredTensors& stored,
                                        const sharding::PackageParameter& parameter) {
  const auto found = stored.find(parameter.name);
  if (found == stored.end()) return fail(input_refused("weights: tensor '{}' is missing", parameter.name));
  const StoredTensor& tensor = found->second;
  if (tensor.shape != parameter.shape || sharding::to_string(tensor.dtype) != parameter.dtype) {
    return fail(input_refused("weights: tensor '{}' is {} of {}, the manifest says {} of {}",
                              parameter.name, sharding::to_string(tensor.dtype),
                              fmt::join(tensor.shape, "x"), parameter.dtype,
                              fmt::join(parameter.shape, "x")));
  }
  return &tensor;
}

at::Tensor place(const StoredTensor& stored, const sharding::PackageParameter& parameter,
                 c10::ScalarType graph_type, c10::Device device) {
  const c10::ScalarType stored_type = to_torch(stored.dtype);
  at::Tensor plain = at::empty(stored.shape, at::TensorOptions().dtype(stored_type));
  if (!stored.bytes.empty()) std::memcpy(plain.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  const auto options =
      at::TensorOptions().dtype(parameter.keep_dtype ? stored_type : graph_type).device(device);
  at::Tensor placed = parameter.channels_last
                          ? at::empty_strided(stored.shape, channels_last_strides(stored.shape), options)
                          : at::empty(stored.shape, options);
  placed.copy_(plain);
  return placed;
}

c10::ScalarType to_scalar_type(sharding::GraphDtype dtype) {
  switch (dtype) {
    case sharding::GraphDtype::kFloat16: return c10::ScalarType::Half;
    case sharding::GraphDtype::kBfloat16: return c10::ScalarType::BFloat16;
    case sharding::GraphDtype::kFloat32: break;
  }
  return c10::ScalarType::Float;
}

}  // namespace

Result<std::vector<at::Tensor>> load_weights(const sharding::PackageManifest& manifest,
                                             std::string_view component,
                                             std::span<const std::byte> safetensors,
                                             sharding::GraphDtype dtype, std::string_view device_name) {
  KILN_TRY_ASSIGN(const c10::Device device, open_device(device_name));
  KILN_TRY_ASSIGN(const StoredTensors stored, read_safetensors(safetensors));
  std::vector<at::Tensor> weights;
  try {
    const c10::InferenceMode inference;
    for (const sharding::PackageParameter& parameter : manifest.parameters) {
      if (parameter.component != component) continue;
      KILN_TRY_ASSIGN(const StoredTensor* tensor, find_stored(stored, parameter));
      weights.push_back(place(*tensor, parameter, to_scalar_type(dtype), device));
    }
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("loading the weights"));
  }
  return weights;
}

TensorSpec spec_of(const at::Tensor& tensor) {
  return {std::string(sharding::to_string(from_torch(tensor.scalar_type()))), tensor.sizes().vec(),
          tensor.strides().vec()};
}

}  // namespace kiln::lane
