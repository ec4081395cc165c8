// The network that leads latents from noise to a clip: what precedes its blocks, the blocks, and what follows them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

#include "lane/engine/component_runner.h"
#include "lane/engine/part_weights.h"
#include "lane/pipelines/stop_check.h"

namespace kiln::lane {

// What goes from the stem through the blocks to the head.
struct TransformerState {
  at::Tensor hidden;  // 1 x tokens x width; the rest is the same for every block
  at::Tensor text;
  at::Tensor time;
  at::Tensor modulation;
  at::Tensor cosines;  // of the tokens' positions
  at::Tensor sines;
};

// Holds the weights of one expert, all of them, on its device. One thread.
class FlowTransformer {
 public:
  [[nodiscard]] static Result<FlowTransformer> create(const GeneratorPackage& package, sharding::GraphDtype dtype,
                                                      const std::string& device);

  // One of the manifest's [[weights]]; the one before is dropped first. Nothing happens where it is there already.
  [[nodiscard]] Status load_expert(std::string_view weights);

  // The expert's prediction. `latents` and `text` of any floating type on the device; `timestep` as the schedule has it.
  [[nodiscard]] Result<at::Tensor> predict(const at::Tensor& latents, float timestep, const at::Tensor& text,
                                           const StopCheck& stop = {}) const;

  // Its three parts, one by one.
  [[nodiscard]] Result<TransformerState> stem(const at::Tensor& latents, float timestep, const at::Tensor& text) const;
  [[nodiscard]] std::int64_t block_count() const { return block_.repeat(); }
  [[nodiscard]] Status block(std::int64_t index, TransformerState& state) const;
  // `latents`: those that went in, for their size.
  [[nodiscard]] Result<at::Tensor> head(const TransformerState& state, const at::Tensor& latents) const;

 private:
  struct ExpertWeights {
    std::string name;
    std::vector<at::Tensor> stem;
    std::vector<std::vector<at::Tensor>> blocks;
    std::vector<at::Tensor> head;
  };

  FlowTransformer(const GeneratorPackage& package, ComponentRunner stem, ComponentRunner block, ComponentRunner head,
                  sharding::GraphDtype dtype, std::string device);

  const GeneratorPackage* package_;  // borrowed
  ComponentRunner stem_;
  ComponentRunner block_;
  ComponentRunner head_;
  sharding::GraphDtype dtype_;
  std::string device_;
  ExpertWeights expert_;
};

}  // namespace kiln::lane
