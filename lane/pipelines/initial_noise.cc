#include "lane/pipelines/initial_noise.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>

#include "lane/engine/torch_types.h"

namespace kiln::lane {

Result<at::Tensor> initial_noise(std::uint64_t seed, const LatentSize& size) {
  try {
    const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    return at::randn({1, size.channels, size.frames, size.height, size.width}, generator, at::TensorOptions(at::kFloat));
  } catch (...) {
    return fail(error_from_torch_exception("making the first noise"));
  }
}

}  // namespace kiln::lane
