// An exported program (models/model.json of a .pt2) as plain values: what the graph runner executes, the
// liveness walk measures and the compile child is given. Whatever is in one of these has passed every
// check of parse_exported_graph.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "sharding/graph/symbol_expression.h"

namespace kiln::sharding {

inline constexpr std::size_t kGraphJsonBytesMax = std::size_t{256} << 20U;
inline constexpr std::size_t kGraphNodesMax = 200'000;
inline constexpr std::size_t kGraphInputsMax = 65'536;
inline constexpr std::size_t kNodeArgumentsMax = 64;
inline constexpr std::size_t kListLengthMax = 65'536;
inline constexpr std::size_t kTensorRankMax = 16;
inline constexpr std::size_t kNameLengthMax = 256;
inline constexpr std::int64_t kDimensionMax = std::int64_t{1} << 40U;

// Element types by export's own numbers (not c10's).
enum class ElementType : std::uint8_t {
  kUint8 = 1, kInt8 = 2, kInt16 = 3, kInt32 = 4, kInt64 = 5, kFloat16 = 6, kFloat32 = 7,
  kFloat64 = 8, kBool = 12, kBfloat16 = 13, kFloat8E4m3 = 29, kFloat8E5m2 = 30,
};
[[nodiscard]] std::int64_t element_bytes(ElementType type);
[[nodiscard]] std::string_view to_string(ElementType type);
[[nodiscard]] Result<ElementType> element_type_from_export(std::int64_t number);
[[nodiscard]] Result<ElementType> element_type_from_string(std::string_view name);

enum class MemoryFormat : std::uint8_t { kContiguous = 1, kChannelsLast = 2, kChannelsLast3d = 3, kPreserve = 4 };

// Index into ExportedGraph::values.
using ValueId = std::uint32_t;

struct TensorDescription {
  ElementType dtype = ElementType::kFloat32;
  std::vector<Expression> sizes;
  std::vector<Expression> strides;
};

enum class ValueKind : std::uint8_t { kTensor, kSymInt, kSymBool };

struct GraphValue {
  std::string name;
  ValueKind kind = ValueKind::kTensor;
  TensorDescription tensor;  // kTensor
  Expression scalar;         // kSymInt, kSymBool
};

struct NoneArgument {};
struct TensorRef { ValueId value = 0; };
struct SymbolRef { ValueId value = 0; };                       // a symbolic int or bool by name
using IntOrSymbol = std::variant<std::int64_t, SymbolRef>;
using OptionalTensorRef = std::variant<NoneArgument, TensorRef>;
struct DeviceArgument {};  // whatever it says, the runner puts its own
struct LayoutArgument {};  // always strided
struct StringArgument { std::string text; };

using Argument =
    std::variant<NoneArgument, TensorRef, SymbolRef, std::int64_t, double, bool, StringArgument,
                 ElementType, MemoryFormat, DeviceArgument, LayoutArgument, std::vector<TensorRef>,
                 std::vector<OptionalTensorRef>, std::vector<IntOrSymbol>, std::vector<double>,
                 std::vector<bool>>;

struct NamedArgument {
  std::string name;  // of the operator's schema
  Argument value;
};

// What a node gives: one tensor, a list of tensors (chunk, split), nothing, or a symbolic scalar.
struct NoOutput {};
using NodeOutput = std::variant<NoOutput, TensorRef, std::vector<TensorRef>, SymbolRef>;

struct GraphNode {
  std::string op;        // "aten::conv2d", or "sym::mul" for functions of Python scalars
  std::string overload;  // "", "Tensor", …
  std::vector<NamedArgument> arguments;
  std::vector<NodeOutput> outputs;
};

struct SymbolRange {
  std::int64_t min = 0;
  std::int64_t max = kDimensionMax;
};

struct ExportedGraph {
  std::vector<GraphValue> values;
  std::vector<ValueId> inputs;   // tensors, in the order of the call
  std::vector<ValueId> outputs;  // tensors
  std::vector<GraphNode> nodes;
  std::map<std::string, SymbolRange, std::less<>> ranges;

  [[nodiscard]] const GraphValue& value(ValueId id) const { return values[id]; }
};

// Everything is checked here: form, bounds, names (they end up in Python code that torch generates),
// operators (allow-list), symbol expressions (grammar), references (defined before use). `origin` names
// the file in messages.
[[nodiscard]] Result<ExportedGraph> parse_exported_graph(std::string_view json,
                                                         std::string_view origin);

// Sizes of the first `count` inputs → values of the symbols; error when a size does not match the
// graph or is outside a symbol's range.
[[nodiscard]] Result<SymbolValues> bind_symbols(
    const ExportedGraph& graph, const std::vector<std::vector<std::int64_t>>& input_sizes);

// Evaluated sizes (or strides) of a value.
[[nodiscard]] Result<std::vector<std::int64_t>> evaluate_all(const std::vector<Expression>& expressions,
                                                             const SymbolValues& symbols);

}  // namespace kiln::sharding
