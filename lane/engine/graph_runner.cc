#include "lane/engine/graph_runner.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "lane/engine/argument_packing.h"
#include "lane/engine/scalar_functions.h"
#include "lane/engine/torch_types.h"
#include "sharding/graph/liveness.h"
#include "sharding/graph/operator_table.h"

namespace kiln::lane {
namespace {

using namespace sharding;

// One schema parameter of a prepared node: the node's argument, or a fixed value.
struct Source {
  const Argument* argument = nullptr;
  c10::IValue fixed;
};

enum class Kind { kOperator, kScalarFunction, kSymSize, kSymNumel, kSkip };

struct PreparedNode {
  Kind kind = Kind::kOperator;
  const GraphNode* node = nullptr;
  std::optional<c10::OperatorHandle> handle;
  std::vector<Source> sources;
  std::vector<ValueId> ending;  // values that nobody needs afterwards
};

Kind kind_of(const GraphNode& node) {
  if (node.op.starts_with("sym::")) return Kind::kScalarFunction;
  if (node.op == "aten::sym_size") return Kind::kSymSize;
  if (node.op == "aten::sym_numel") return Kind::kSymNumel;
  // Assertions repeat what the runner checks itself, with dtype and device baked in.
  return node.op.starts_with("aten::_assert") ? Kind::kSkip : Kind::kOperator;
}

bool takes_tensors(const GraphNode& node) {
  return std::any_of(node.arguments.begin(), node.arguments.end(), [](const NamedArgument& a) {
    return std::holds_alternative<TensorRef>(a.value) ||
           std::holds_alternative<std::vector<TensorRef>>(a.value);
  });
}

Result<Source> find_source(const GraphNode& node, const c10::Argument& schema, c10::Device device) {
  const auto given = std::find_if(node.arguments.begin(), node.arguments.end(),
                                  [&](const NamedArgument& a) { return a.name == schema.name(); });
  // An operator that makes a tensor out of nothing makes it on the CPU unless told otherwise.
  if (schema.name() == "device" && !takes_tensors(node)) return Source{nullptr, device};
  if (given != node.arguments.end()) return Source{&given->value, {}};
  if (schema.default_value()) return Source{nullptr, *schema.default_value()};
  return fail(input_refused("{}: the argument '{}' is missing", node.op, schema.name()));
}

Status prepare_operator(PreparedNode& prepared, c10::Device device) {
  const GraphNode& node = *prepared.node;
  prepared.handle = c10::Dispatcher::singleton().findSchema({node.op, node.overload});
  if (!prepared.handle) return fail(input_refused("{}.{}: unknown to this LibTorch", node.op, node.overload));
  // An overload that writes where the list says that its operator does not would escape the checks.
  const OperatorTraits* traits = find_operator(node.op);
  if (prepared.handle->schema().is_mutable() && (traits == nullptr || traits->storage != Storage::kInPlace)) {
    return fail(input_refused("{}.{}: writes into its arguments", node.op, node.overload));
  }
  const auto& parameters = prepared.handle->schema().arguments();
  for (const c10::Argument& parameter : parameters) {
    KILN_TRY_ASSIGN(Source source, find_source(node, parameter, device));
    prepared.sources.push_back(std::move(source));
  }
  for (const NamedArgument& argument : node.arguments) {
    const bool known = std::any_of(parameters.begin(), parameters.end(),
                                   [&](const c10::Argument& p) { return p.name() == argument.name; });
    if (!known) return fail(input_refused("{}: unknown argument '{}'", node.op, argument.name));
  }
  return {};
}

std::int64_t scalar_of(const Argument& argument, const Slots& slots) {
  if (const auto* number = std::get_if<std::int64_t>(&argument)) return *number;
  if (const auto* flag = std::get_if<bool>(&argument)) return *flag ? 1 : 0;
  const c10::IValue& value = slots[std::get<SymbolRef>(argument).value];
  return value.isBool() ? (value.toBool() ? 1 : 0) : value.toInt();
}

bool is_scalar(const Argument& argument) {
  return std::holds_alternative<std::int64_t>(argument) || std::holds_alternative<bool>(argument) ||
         std::holds_alternative<SymbolRef>(argument);
}

Result<c10::IValue> call_scalar(const GraphNode& node, const Slots& slots) {
  std::vector<std::int64_t> arguments;
  for (const NamedArgument& argument : node.arguments) {
    if (!is_scalar(argument.value)) return fail(input_refused("{}: a whole number was expected", node.op));
    arguments.push_back(scalar_of(argument.value, slots));
  }
  KILN_TRY_ASSIGN(const std::int64_t value, call_scalar_function(node.op, arguments));
  if (scalar_function_gives_bool(node.op)) return c10::IValue(value != 0);
  return c10::IValue(value);
}

Result<c10::IValue> size_of(const GraphNode& node, Kind kind, const Slots& slots) {
  const auto* tensor = node.arguments.empty() ? nullptr : std::get_if<TensorRef>(&node.arguments[0].value);
  if (tensor == nullptr) return fail(input_refused("{}: a tensor was expected", node.op));
  const at::Tensor& value = slots[tensor->value].toTensor();
  if (kind == Kind::kSymNumel) return c10::IValue(value.numel());
  const auto* dim = node.arguments.size() == 2 ? std::get_if<std::int64_t>(&node.arguments[1].value) : nullptr;
  if (dim == nullptr || *dim < -value.dim() || *dim >= value.dim()) {
    return fail(input_refused("{}: bad dimension", node.op));
  }
  return c10::IValue(value.size(*dim));
}

Status store(const NodeOutput& output, c10::IValue value, Slots& slots) {
  if (const auto* tensor = std::get_if<TensorRef>(&output)) {
    if (!value.isTensor()) return fail(input_refused("a tensor was expected as a result"));
    slots[tensor->value] = std::move(value);
  } else if (const auto* symbol = std::get_if<SymbolRef>(&output)) {
    slots[symbol->value] = std::move(value);
  } else if (const auto* list = std::get_if<std::vector<TensorRef>>(&output)) {
    if (!value.isTensorList() || value.toTensorList().size() != list->size()) {
      return fail(input_refused("a list of {} tensors was expected as a result", list->size()));
    }
    const auto tensors = value.toTensorList();
    for (std::size_t i = 0; i < list->size(); ++i) slots[(*list)[i].value] = tensors.get(i);
  }
  return {};
}

Status call_operator(const PreparedNode& prepared, Slots& slots, c10::Device device) {
  const auto& parameters = prepared.handle->schema().arguments();
  torch::jit::Stack stack;
  stack.reserve(prepared.sources.size());
  for (std::size_t i = 0; i < prepared.sources.size(); ++i) {
    const Source& source = prepared.sources[i];
    stack.push_back(source.argument == nullptr
                        ? source.fixed
                        : pack_argument(*source.argument, parameters[i], slots, device));
  }
  prepared.handle->callBoxed(stack);
  const auto& outputs = prepared.node->outputs;
  if (outputs.size() > stack.size()) return fail(input_refused("fewer results than the graph expects"));
  for (std::size_t i = 0; i < outputs.size(); ++i) KILN_TRY(store(outputs[i], std::move(stack[i]), slots));
  return {};
}

Status check_tensor(const GraphValue& value, const at::Tensor& tensor, const SymbolValues& symbols) {
  KILN_TRY_ASSIGN(const auto expected, evaluate_all(value.tensor.sizes, symbols));
  if (from_torch(tensor.scalar_type()) != value.tensor.dtype) {
    return fail(input_refused("'{}' is {}, the graph says {}", value.name,
                              to_string(from_torch(tensor.scalar_type())), to_string(value.tensor.dtype)));
  }
  if (!std::equal(expected.begin(), expected.end(), tensor.sizes().begin(), tensor.sizes().end())) {
    return fail(input_refused("'{}' is {}, the graph says {}", value.name,
                              fmt::join(tensor.sizes(), "x"), fmt::join(expected, "x")));
  }
  return {};
}

}  // namespace

struct GraphRunner::State {
  ExportedGraph graph;
  c10::Device device{c10::DeviceType::CPU};
  std::vector<PreparedNode> nodes;
  std::vector<bool> used;  // by ValueId: read by a node, or a result
  std::set<SymbolValues> checked_shapes;

  Status prepare();
  Status call(const PreparedNode& prepared, Slots& slots) const;
  Status check_results(const GraphNode& node, const Slots& slots, const SymbolValues& symbols) const;
  Result<SymbolValues> check_inputs(const std::vector<at::Tensor>& inputs);
  Result<std::vector<at::Tensor>> execute(Slots& slots, const SymbolValues& symbols, bool check_all) const;
};

Status GraphRunner::State::prepare() {
  auto ending = last_uses(graph);
  used = read_values(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    PreparedNode prepared;
    prepared.node = &graph.nodes[i];
    prepared.kind = kind_of(graph.nodes[i]);
    prepared.ending = std::move(ending[i]);
    if (prepared.kind == Kind::kOperator) {
      auto status = prepare_operator(prepared, device);
      if (!status) return fail(status.error().with_context(fmt::format("node {}", i)));
    }
    nodes.push_back(std::move(prepared));
  }
  return {};
}

Status GraphRunner::State::call(const PreparedNode& prepared, Slots& slots) const {
  const GraphNode& node = *prepared.node;
  switch (prepared.kind) {
    case Kind::kSkip: return {};
    case Kind::kOperator: return call_operator(prepared, slots, device);
    case Kind::kScalarFunction: {
      KILN_TRY_ASSIGN(c10::IValue value, call_scalar(node, slots));
      if (!node.outputs.empty()) return store(node.outputs.front(), std::move(value), slots);
      return {};
    }
    case Kind::kSymSize:
    case Kind::kSymNumel: {
      KILN_TRY_ASSIGN(c10::IValue value, size_of(node, prepared.kind, slots));
      if (!node.outputs.empty()) return store(node.outputs.front(), std::move(value), slots);
      return {};
    }
  }
  return {};
}

Status GraphRunner::State::check_results(const GraphNode& node, const Slots& slots,
                                         const SymbolValues& symbols) const {
  // What nobody reads may differ between devices: batch norm's saved statistics do.
  const auto check = [&](ValueId id) -> Status {
    return used[id] ? check_tensor(graph.value(id), slots[id].toTensor(), symbols) : Status();
  };
  for (const NodeOutput& output : node.outputs) {
    if (const auto* tensor = std::get_if<TensorRef>(&output)) KILN_TRY(check(tensor->value));
    if (const auto* list = std::get_if<std::vector<TensorRef>>(&output)) {
      for (const TensorRef item : *list) KILN_TRY(check(item.value));
    }
  }
  return {};
}

Result<SymbolValues> GraphRunner::State::check_inputs(const std::vector<at::Tensor>& inputs) {
  if (inputs.size() != graph.inputs.size()) {
    return fail(input_refused("{} inputs for a graph of {}", inputs.size(), graph.inputs.size()));
  }
  std::vector<std::vector<std::int64_t>> sizes;
  for (const at::Tensor& input : inputs) sizes.emplace_back(input.sizes().begin(), input.sizes().end());
  KILN_TRY_ASSIGN(SymbolValues symbols, bind_symbols(graph, sizes));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    KILN_TRY(check_tensor(graph.value(graph.inputs[i]), inputs[i], symbols));
    if (inputs[i].device() != device) return fail(input_refused("input {} is on another device", i));
  }
  return symbols;
}

Result<std::vector<at::Tensor>> GraphRunner::State::execute(Slots& slots, const SymbolValues& symbols,
                                                            bool check_all) const {
  const c10::InferenceMode inference;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto where = [&](Error error) {
      return fail(std::move(error).with_context(fmt::format("node {} ({})", i, nodes[i].node->op)));
    };
    try {
      if (auto status = call(nodes[i], slots); !status) return where(status.error());
    } catch (const std::exception&) {
      return where(error_from_torch_exception("running the graph"));
    }
    if (check_all) {
      if (auto status = check_results(*nodes[i].node, slots, symbols); !status) return where(status.error());
    }
    for (const ValueId id : nodes[i].ending) slots[id] = c10::IValue();
  }
  std::vector<at::Tensor> outputs;
  for (const ValueId id : graph.outputs) {
    KILN_TRY(check_tensor(graph.value(id), slots[id].toTensor(), symbols));
    outputs.push_back(slots[id].toTensor());
  }
  return outputs;
}

GraphRunner::GraphRunner(std::unique_ptr<State> state) : state_(std::move(state)) {}
GraphRunner::~GraphRunner() = default;
const ExportedGraph& GraphRunner::graph() const { return state_->graph; }

Result<std::unique_ptr<GraphRunner>> GraphRunner::create(ExportedGraph graph, std::string_view device) {
  auto state = std::make_unique<State>();
  state->graph = std::move(graph);
  KILN_TRY_ASSIGN(state->device, open_device(device));
  KILN_TRY(state->prepare());
  return std::unique_ptr<GraphRunner>(new GraphRunner(std::move(state)));
}

Result<std::vector<at::Tensor>> GraphRunner::run(std::vector<at::Tensor> activations,
                                                 const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> inputs = std::move(activations);
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  KILN_TRY_ASSIGN(const SymbolValues symbols, state_->check_inputs(inputs));
  const bool check_all = !state_->checked_shapes.contains(symbols);
  Slots slots(state_->graph.values.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) slots[state_->graph.inputs[i]] = inputs[i];
  auto outputs = state_->execute(slots, symbols, check_all);
  if (outputs && check_all) state_->checked_shapes.insert(symbols);
  return outputs;
}

}  // namespace kiln::lane
