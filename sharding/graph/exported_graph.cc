#include "sharding/graph/exported_graph.h"

#include <fmt/format.h>

#include <array>

namespace kiln::sharding {
namespace {

struct ElementForm {
  ElementType type;
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array<ElementForm, 12> kElements = {{
    {ElementType::kUint8, "uint8", 1}, {ElementType::kInt8, "int8", 1},
    {ElementType::kInt16, "int16", 2}, {ElementType::kInt32, "int32", 4},
    {ElementType::kInt64, "int64", 8}, {ElementType::kFloat16, "float16", 2},
    {ElementType::kFloat32, "float32", 4}, {ElementType::kFloat64, "float64", 8},
    {ElementType::kBool, "bool", 1}, {ElementType::kBfloat16, "bfloat16", 2},
    {ElementType::kFloat8E4m3, "float8_e4m3fn", 1}, {ElementType::kFloat8E5m2, "float8_e5m2", 1},
}};

// size == a * symbol + b, the form in which export describes a dynamic side ("a multiple of 8").
Status bind_one(const Expression& expression, std::int64_t size, SymbolValues& values) {
  std::vector<std::string> symbols;
  collect_symbols(expression, symbols);
  std::erase_if(symbols, [&](const std::string& name) { return values.contains(name); });
  if (symbols.size() != 1) return {};
  SymbolValues trial = values;
  trial[symbols.front()] = 0;
  KILN_TRY_ASSIGN(const std::int64_t at_zero, evaluate(expression, trial));
  trial[symbols.front()] = 1;
  KILN_TRY_ASSIGN(const std::int64_t at_one, evaluate(expression, trial));
  const std::int64_t slope = at_one - at_zero;
  if (slope <= 0) return fail(input_refused("a side's size does not grow with its symbol"));
  // Where it does not divide, the check that follows finds the sizes different and says so.
  values[symbols.front()] = (size - at_zero) / slope;
  return {};
}

Status check_input(const ExportedGraph& graph, std::size_t index,
                   const std::vector<std::int64_t>& given, const SymbolValues& values) {
  const GraphValue& input = graph.value(graph.inputs[index]);
  KILN_TRY_ASSIGN(const auto expected, evaluate_all(input.tensor.sizes, values));
  if (expected == given) return {};
  return fail(input_refused("input {} ('{}') is {}, the graph takes {} there", index, input.name,
                            fmt::join(given, "x"), fmt::join(expected, "x")));
}

}  // namespace

std::int64_t element_bytes(ElementType type) {
  for (const ElementForm& form : kElements) {
    if (form.type == type) return form.bytes;
  }
  return 1;
}

std::string_view to_string(ElementType type) {
  for (const ElementForm& form : kElements) {
    if (form.type == type) return form.name;
  }
  return "unknown";
}

Result<ElementType> element_type_from_export(std::int64_t number) {
  for (const ElementForm& form : kElements) {
    if (static_cast<std::int64_t>(form.type) == number) return form.type;
  }
  return fail(input_refused("unknown element type {}", number));
}

Result<ElementType> element_type_from_string(std::string_view name) {
  for (const ElementForm& form : kElements) {
    if (form.name == name) return form.type;
  }
  return fail(input_refused("unknown element type '{}'", name.substr(0, 64)));
}

Result<std::vector<std::int64_t>> evaluate_all(const std::vector<Expression>& expressions,
                                               const SymbolValues& symbols) {
  std::vector<std::int64_t> values;
  values.reserve(expressions.size());
  for (const Expression& expression : expressions) {
    KILN_TRY_ASSIGN(const std::int64_t value, evaluate(expression, symbols));
    if (value < 0 || value > kDimensionMax * 1024) {
      return fail(input_refused("a size or stride of {} in the graph", value));
    }
    values.push_back(value);
  }
  return values;
}

Result<SymbolValues> bind_symbols(const ExportedGraph& graph,
                                  const std::vector<std::vector<std::int64_t>>& input_sizes) {
  if (input_sizes.size() > graph.inputs.size()) {
    return fail(input_refused("{} inputs for a graph of {}", input_sizes.size(), graph.inputs.size()));
  }
  SymbolValues values;
  for (std::size_t i = 0; i < input_sizes.size(); ++i) {
    const auto& sizes = graph.value(graph.inputs[i]).tensor.sizes;
    if (sizes.size() != input_sizes[i].size()) {
      return fail(input_refused("input {} has {} dimensions, the graph takes {}", i,
                                input_sizes[i].size(), sizes.size()));
    }
    for (std::size_t d = 0; d < sizes.size(); ++d) {
      KILN_TRY(bind_one(sizes[d], input_sizes[i][d], values));
    }
  }
  for (std::size_t i = 0; i < input_sizes.size(); ++i) {
    KILN_TRY(check_input(graph, i, input_sizes[i], values));
  }
  for (const auto& [name, value] : values) {
    const auto range = graph.ranges.find(name);
    if (range == graph.ranges.end()) continue;
    if (value < range->second.min || value > range->second.max) {
      return fail(input_refused("{} = {} is outside the graph's range {}..{}", name, value,
                                range->second.min, range->second.max));
    }
  }
  return values;
}

}  // namespace kiln::sharding
