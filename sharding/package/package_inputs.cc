#include "sharding/package/package_inputs.h"

#include <string>

namespace kiln::sharding {

std::vector<TensorSpec> package_inputs(const PackageManifest& manifest, GraphDtype dtype, std::int64_t height,
                                       std::int64_t width) {
  const std::string computed(to_string(dtype));
  std::vector<TensorSpec> inputs;
  if (manifest.frames() == 1) {
    inputs.push_back(dense_tensor({1, manifest.channels, height, width}, computed, true));
  } else {
    inputs.push_back(dense_tensor({1, manifest.frames(), manifest.channels, height, width}, computed, false));
  }
  for (const PackageParameter& parameter : manifest.parameters) {
    inputs.push_back(dense_tensor(parameter.shape, parameter.keep_dtype ? parameter.dtype : computed,
                                  parameter.channels_last));
  }
  return inputs;
}

}  // namespace kiln::sharding
