// Prompts to the states that a text-to-video model looks at.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "lane/engine/component_runner.h"
#include "lane/engine/part_weights.h"
#include "lane/pipelines/stop_check.h"
#include "lane/text/umt5_tokenizer.h"

namespace kiln::lane {

// The encoder is larger than anything else of the model that runs beside it, and runs once: it holds the weights of one block
// at a time, and none afterwards. One thread.
class PromptEncoder {
 public:
  [[nodiscard]] static Result<PromptEncoder> create(const GeneratorPackage& package, sharding::GraphDtype dtype,
                                                    const std::string& device);

  // Prompts x tokens x width on the device; zero behind a prompt's last token. All prompts have the same number of tokens,
  // padding included, and go through the encoder together.
  [[nodiscard]] Result<at::Tensor> encode(std::span<const PromptTokens> prompts, const StopCheck& stop = {}) const;

 private:
  PromptEncoder(ComponentRunner embedding, ComponentRunner block, ComponentRunner norm, PartWeights weights,
                sharding::GraphDtype dtype, std::string device);
  [[nodiscard]] Result<at::Tensor> run(const ComponentRunner& runner, std::string_view component, std::int64_t index,
                                       std::vector<at::Tensor> activations) const;

  ComponentRunner embedding_;
  ComponentRunner block_;
  ComponentRunner norm_;
  PartWeights weights_;
  sharding::GraphDtype dtype_;
  std::string device_;
};

}  // namespace kiln::lane
