// Runs an exported graph uncompiled: node by node through LibTorch's dispatcher, on any device.
// Operators are looked up once. Memory is freed at a value's last use. Every node runs, also those whose
// results nobody reads: some write in place. One runner belongs to one thread.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sharding/graph/exported_graph.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

class GraphRunner {
 public:
  // Error where an operator or its arguments are unknown to this LibTorch.
  [[nodiscard]] static Result<std::unique_ptr<GraphRunner>> create(sharding::ExportedGraph graph,
                                                                   std::string_view device);
  ~GraphRunner();
  GraphRunner(const GraphRunner&) = delete;
  GraphRunner& operator=(const GraphRunner&) = delete;

  // `activations` are the first inputs and are given up; `parameters` the others. Shapes and dtypes are
  // checked against the graph, those of the results too (of every node the first time a shape runs).
  [[nodiscard]] Result<std::vector<at::Tensor>> run(std::vector<at::Tensor> activations,
                                                    const std::vector<at::Tensor>& parameters);

  [[nodiscard]] const sharding::ExportedGraph& graph() const;

 private:
  struct State;
  explicit GraphRunner(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kiln::lane
