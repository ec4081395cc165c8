// Latents to frames, one latent frame after the other.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lane/core/latent_windows.h"
#include "lane/engine/component_runner.h"
#include "lane/engine/part_weights.h"
#include "lane/pipelines/stop_check.h"

namespace kiln::lane {

// Frames of one latent frame, in their order: 1 x 3 x frames x height x width within -1..1, on the decoder's device.
using FrameSink = std::function<Status(const at::Tensor& frames)>;

// Causal: what a latent frame's frames depend on is itself and the caches that those before it left. One thread.
class LatentDecoder {
 public:
  [[nodiscard]] static Result<LatentDecoder> create(const GeneratorPackage& package, sharding::GraphDtype dtype,
                                                    const std::string& device);

  // `latents` as they leave the sampler. With `tiles`, clips that do not fit into one are decoded in tiles that are blended
  // as diffusers does it: less memory for activations, other numbers than the whole. The tiles' caches, together more than
  // those of the whole, wait in the host's memory.
  [[nodiscard]] Status decode(const at::Tensor& latents, const std::optional<DecodeTiles>& tiles, const FrameSink& sink,
                              const StopCheck& stop = {}) const;

  // Parts of decode(). The latents that the decoder takes: with the mean and the deviation that they had in training.
  [[nodiscard]] at::Tensor denormalised(const at::Tensor& latents) const;
  // One latent frame, 1 x channels x 1 x height x width; `caches` are empty for the first, and then those for the next.
  // The frames are not clamped.
  [[nodiscard]] Result<at::Tensor> step(const at::Tensor& latent, std::vector<at::Tensor>& caches) const;

 private:
  struct TileRun;
  LatentDecoder(const GeneratorPackage& package, ComponentRunner first, ComponentRunner next, sharding::GraphDtype dtype)
      : manifest_(&package.manifest()), first_(std::move(first)), next_(std::move(next)), dtype_(dtype) {}
  [[nodiscard]] Result<at::Tensor> step_in_tiles(const at::Tensor& latent, TileRun& run, const StopCheck& stop) const;

  const sharding::GeneratorManifest* manifest_;  // borrowed
  ComponentRunner first_;
  ComponentRunner next_;
  std::vector<at::Tensor> first_weights_;
  std::vector<at::Tensor> next_weights_;
  sharding::GraphDtype dtype_;
};

}  // namespace kiln::lane
