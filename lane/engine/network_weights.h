// A package's weights as tensors on a device, in the dtype and with the strides that its graphs take.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/engine/network.h"
#include "lane/engine/weight_delivery.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

// In the order of the manifest's parameters of `component`. Shapes and dtypes of the file must be the
// manifest's. With `delivery`, which may be nullptr, the bytes come by that way: every lane of a group calls it with the same
// sizes in the same order.
[[nodiscard]] Result<std::vector<at::Tensor>> load_weights(const sharding::PackageManifest& manifest,
                                                           std::string_view component,
                                                           std::span<const std::byte> safetensors,
                                                           sharding::GraphDtype dtype,
                                                           std::string_view device, WeightDelivery* delivery);

[[nodiscard]] TensorSpec spec_of(const at::Tensor& tensor);

}  // namespace kiln::lane
