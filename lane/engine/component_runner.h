// One component of a text-to-video model on one device: its graph, run with the weights of any repetition and checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lane/engine/generator_package.h"
#include "lane/engine/graph_runner.h"

namespace kiln::lane {

// One thread. What executes the graph is this class's own affair: a compiled artifact takes the same tensors.
class ComponentRunner {
 public:
  // `inputs` beside the parameters, and `outputs`: how many the caller gives and takes.
  [[nodiscard]] static Result<ComponentRunner> create(const GeneratorPackage& package, std::string_view component,
                                                      std::size_t inputs, std::size_t outputs, sharding::GraphDtype dtype,
                                                      std::string_view device);

  // `weights` as PartWeights::load gives them. Activations are made contiguous, as an artifact expects them, and given up.
  [[nodiscard]] Result<std::vector<at::Tensor>> run(std::vector<at::Tensor> activations,
                                                    const std::vector<at::Tensor>& weights) const;
  [[nodiscard]] std::int64_t repeat() const { return repeat_; }

 private:
  ComponentRunner(std::string name, std::int64_t repeat, std::unique_ptr<GraphRunner> runner)
      : name_(std::move(name)), repeat_(repeat), runner_(std::move(runner)) {}

  std::string name_;
  std::int64_t repeat_ = 1;
  std::unique_ptr<GraphRunner> runner_;
};

}  // namespace kiln::lane
