#include "lane/engine/component_runner.h"

#include <ATen/core/Tensor.h>

namespace kiln::lane {

Result<ComponentRunner> ComponentRunner::create(const GeneratorPackage& package, std::string_view component,
                                                std::size_t inputs, std::size_t outputs, sharding::GraphDtype dtype,
                                                std::string_view device) {
  const sharding::GeneratorComponent* entry = package.manifest().find_component(component);
  if (entry == nullptr) return fail(input_refused("{} has no component {}", package.manifest().name, component));
  if (entry->inputs.size() != inputs || entry->outputs.size() != outputs) {
    return fail(input_refused("{}: takes {} inputs and gives {}, which are {} and {} with this version; import the model "
                              "again", component, entry->inputs.size(), entry->outputs.size(), inputs, outputs));
  }
  KILN_TRY_ASSIGN(sharding::ExportedGraph graph, package.graph(component, dtype));
  KILN_TRY_ASSIGN(auto runner, GraphRunner::create(std::move(graph), device));
  return ComponentRunner(entry->name, entry->repeat, std::move(runner));
}

Result<std::vector<at::Tensor>> ComponentRunner::run(std::vector<at::Tensor> activations,
                                                     const std::vector<at::Tensor>& weights) const {
  for (at::Tensor& activation : activations) activation = activation.contiguous();
  auto results = runner_->run(std::move(activations), weights);
  if (!results) return fail(std::move(results).error().with_context(name_));
  return results;
}

}  // namespace kiln::lane
