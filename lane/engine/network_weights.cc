#include "lane/engine/network_weights.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <cstring>
#include <optional>
#include <utility>

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

at::Tensor make_plain(const StoredTensor& stored, c10::Device device) {
  return at::empty(stored.shape, at::TensorOptions().dtype(to_torch(stored.dtype)).device(device));
}

// As the graph takes it, without its values.
at::Tensor make_placed(const StoredTensor& stored, const sharding::PackageParameter& parameter, c10::ScalarType graph_type,
                       c10::Device device) {
  const auto options = at::TensorOptions().dtype(parameter.keep_dtype ? to_torch(stored.dtype) : graph_type).device(device);
  return parameter.channels_last ? at::empty_strided(stored.shape, channels_last_strides(stored.shape), options)
                                 : at::empty(stored.shape, options);
}

at::Tensor place(const StoredTensor& stored, const sharding::PackageParameter& parameter,
                 c10::ScalarType graph_type, c10::Device device) {
  at::Tensor plain = make_plain(stored, c10::Device(c10::DeviceType::CPU));
  if (!stored.bytes.empty()) std::memcpy(plain.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  at::Tensor placed = make_placed(stored, parameter, graph_type, device);
  placed.copy_(plain);
  return placed;
}

// Weights on their way by a delivery. Those that the graph takes as they are stored arrive in place; of the others, which are
// brought into shape on the device, so much lies there beside the result.
constexpr std::uint64_t kStagedBytesMost = std::uint64_t{256} << 20U;

class DeliveredWeights {
 public:
  DeliveredWeights(WeightDelivery& delivery, c10::ScalarType graph_type, c10::Device device)
      : delivery_(delivery), graph_type_(graph_type), device_(device) {}

  // The tensor has its values once finish() was called.
  Result<at::Tensor> add(const StoredTensor& stored, const sharding::PackageParameter& parameter) {
    at::Tensor placed = make_placed(stored, parameter, graph_type_, device_);
    at::Tensor arrives = placed;
    if (parameter.channels_last || placed.scalar_type() != to_torch(stored.dtype)) {
      if (staged_bytes_ + stored.bytes.size() > kStagedBytesMost) KILN_TRY(finish());
      arrives = make_plain(stored, device_);
      staged_.emplace_back(placed, arrives);
      staged_bytes_ += stored.bytes.size();
    }
    targets_.push_back({static_cast<std::byte*>(arrives.mutable_data_ptr()), stored.bytes});
    return placed;
  }
  Status finish() {
    KILN_TRY(delivery_.deliver(targets_));
    for (auto& [placed, plain] : staged_) placed.copy_(plain);
    targets_.clear();
    staged_.clear();
    staged_bytes_ = 0;
    return {};
  }

 private:
  WeightDelivery& delivery_;
  const c10::ScalarType graph_type_;
  const c10::Device device_;
  std::vector<WeightDelivery::Target> targets_;
  std::vector<std::pair<at::Tensor, at::Tensor>> staged_;
  std::uint64_t staged_bytes_ = 0;
};

}  // namespace

Result<std::vector<at::Tensor>> load_weights(const sharding::PackageManifest& manifest,
                                             std::string_view component,
                                             std::span<const std::byte> safetensors,
                                             sharding::GraphDtype dtype, std::string_view device_name,
                                             WeightDelivery* delivery) {
  KILN_TRY_ASSIGN(const c10::Device device, open_device(device_name));
  KILN_TRY_ASSIGN(const StoredTensors stored, read_safetensors(safetensors));
  std::vector<at::Tensor> weights;
  try {
    const c10::InferenceMode inference;
    std::optional<DeliveredWeights> delivered;
    if (delivery != nullptr) delivered.emplace(*delivery, to_torch(dtype), device);
    for (const sharding::PackageParameter& parameter : manifest.parameters) {
      if (parameter.component != component) continue;
      KILN_TRY_ASSIGN(const StoredTensor* tensor, find_stored(stored, parameter));
      if (delivered) {
        KILN_TRY_ASSIGN(at::Tensor placed, delivered->add(*tensor, parameter));
        weights.push_back(std::move(placed));
      } else {
        weights.push_back(place(*tensor, parameter, to_torch(dtype), device));
      }
    }
    if (delivered) KILN_TRY(delivered->finish());
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
