#include "sharding/package/generator_rules.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace kiln::sharding {
namespace {

Status check_names(const GeneratorManifest& manifest, std::string_view origin) {
  std::set<std::string_view> names;
  for (const GeneratorComponent& component : manifest.components) {
    if (!names.insert(component.name).second) {
      return fail(input_refused("{}: two components have the name '{}'", origin, component.name));
    }
  }
  names.clear();
  for (const GeneratorWeights& weights : manifest.weights) {
    if (!names.insert(weights.name).second) {
      return fail(input_refused("{}: two sets of weights have the name '{}'", origin, weights.name));
    }
  }
  names.clear();
  for (const GeneratorFile& file : manifest.files) {
    if (!names.insert(file.file).second) return fail(input_refused("{}: '{}' is listed twice", origin, file.file));
  }
  return {};
}

Status check_graphs(const GeneratorManifest& manifest, std::string_view origin) {
  std::set<std::pair<std::string_view, GraphDtype>> graphs;
  for (const GeneratorGraph& graph : manifest.graphs) {
    if (manifest.find_component(graph.component) == nullptr) {
      return fail(input_refused("{}: the graph {} is of no component", origin, graph.file));
    }
    if (!graphs.emplace(graph.component, graph.dtype).second) {
      return fail(input_refused("{}: '{}' has two graphs of {}", origin, graph.component, to_string(graph.dtype)));
    }
  }
  for (const GeneratorComponent& component : manifest.components) {
    const bool has_graph = std::any_of(manifest.graphs.begin(), manifest.graphs.end(),
                                       [&](const GeneratorGraph& graph) { return graph.component == component.name; });
    if (!has_graph) return fail(input_refused("{}: '{}' has no graph", origin, component.name));
  }
  return {};
}

using Place = std::tuple<std::string_view, std::string_view, std::int64_t, std::string_view>;

std::set<Place> places_of(const GeneratorManifest& manifest) {
  std::set<Place> places;
  for (const GeneratorWeights& weights : manifest.weights) {
    for (const GeneratorParameter& parameter : manifest.parameters) {
      const GeneratorComponent* component = manifest.find_component(parameter.component);
      if (component->part != weights.part) continue;
      for (std::int64_t i = 0; i < component->repeat; ++i) {
        places.emplace(weights.name, component->name, i, parameter.name);
        if (places.size() > kGeneratorTensorsMax) return places;  // more than can be listed: one of them is missing
      }
    }
  }
  return places;
}

Status check_tensors(const GeneratorManifest& manifest, std::string_view origin) {
  for (const GeneratorParameter& parameter : manifest.parameters) {
    if (manifest.find_component(parameter.component) == nullptr) {
      return fail(input_refused("{}: the parameter {} is of no component", origin, parameter.name));
    }
  }
  std::set<std::string_view> files;
  for (const GeneratorFile& file : manifest.files) files.insert(file.file);
  std::set<Place> missing = places_of(manifest);
  for (const GeneratorTensor& tensor : manifest.tensors) {
    if (missing.erase({tensor.weights, tensor.component, tensor.index, tensor.parameter}) == 0) {
      return fail(input_refused("{}: the tensor for {} of {} {} in {} has no place, or is there twice", origin,
                                tensor.parameter, tensor.component, tensor.index, tensor.weights));
    }
    if (!files.contains(tensor.file)) {
      return fail(input_refused("{}: the tensor {} lies in {}, which is not listed", origin, tensor.name, tensor.file));
    }
  }
  if (missing.empty()) return {};
  const auto& [weights, component, index, parameter] = *missing.begin();
  return fail(input_refused("{}: no tensor for {} of {} {} in {}", origin, parameter, component, index, weights));
}

Status check_count(std::string_view what, std::size_t found, std::size_t wanted) {
  if (found == wanted) return {};
  return fail(input_refused("it has {} {}, and the manifest lists {}", found, what, wanted));
}

Status check_parameter(const GeneratorParameter& parameter, GraphDtype dtype, const TensorDescription& input) {
  const ElementType graph_type = dtype == GraphDtype::kFloat32   ? ElementType::kFloat32
                                 : dtype == GraphDtype::kFloat16 ? ElementType::kFloat16
                                                                 : ElementType::kBfloat16;
  const ElementType wanted = parameter.high_precision ? ElementType::kFloat32 : graph_type;
  const auto sizes = evaluate_all(input.sizes, {});
  if (!sizes || *sizes != parameter.shape) {
    return fail(input_refused("its input for {} has not the manifest's shape", parameter.name));
  }
  if (input.dtype == wanted) return {};
  return fail(input_refused("its input for {} is {}, and with the manifest's precision it must be {}", parameter.name,
                            to_string(input.dtype), to_string(wanted)));
}

Status check_form(const GeneratorManifest& manifest, const GeneratorGraph& entry, const ExportedGraph& graph) {
  const GeneratorComponent* component = manifest.find_component(entry.component);
  if (component == nullptr) return fail(input_refused("is of no component"));
  const auto parameters = manifest.parameters_of(entry.component);
  KILN_TRY(check_count("inputs", graph.inputs.size(), component->inputs.size() + parameters.size()));
  KILN_TRY(check_count("outputs", graph.outputs.size(), component->outputs.size()));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const GraphValue& input = graph.value(graph.inputs[component->inputs.size() + i]);
    KILN_TRY(check_parameter(*parameters[i], entry.dtype, input.tensor));
  }
  return {};
}

}  // namespace

Status check_generator_rules(const GeneratorManifest& manifest, std::string_view origin) {
  KILN_TRY(check_names(manifest, origin));
  KILN_TRY(check_graphs(manifest, origin));
  return check_tensors(manifest, origin);
}

Status check_generator_graph(const GeneratorManifest& manifest, const GeneratorGraph& entry,
                             const ExportedGraph& graph) {
  if (auto status = check_form(manifest, entry, graph); !status) {
    return fail(status.error().with_context(entry.file));
  }
  return {};
}

}  // namespace kiln::sharding
