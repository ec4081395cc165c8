#include "sharding/graph/value_table.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace kiln::sharding {
namespace {

constexpr std::array<std::string_view, 35> kPythonKeywords = {
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield"};
constexpr std::int64_t kStrideMax = std::int64_t{1} << 50U;
constexpr std::int64_t kStridedLayout = 7;

// {"as_int": n} or {"as_expr": {"expr_str": …, "hint": …}}.
Result<Expression> read_sym_int(const Json& json, std::int64_t value_max) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  if (form.first == "as_int") {
    KILN_TRY_ASSIGN(const std::int64_t value, to_integer(*form.second));
    if (value < 0 || value > value_max) {
      return fail(input_refused("size or stride {} is outside 0..{}", value, value_max));
    }
    return Expression::integer(value);
  }
  if (form.first != "as_expr") return fail(input_refused("unknown form of a size"));
  KILN_TRY(expect_keys(*form.second, {"expr_str", "hint"}));
  if (const auto hint = form.second->find("hint"); hint != form.second->end() && !hint->is_null()) {
    KILN_TRY_ASSIGN(const auto hint_form, union_case(*hint));
    if (hint_form.first != "as_int") return fail(input_refused("unknown form of a size hint"));
    KILN_TRY(to_integer(*hint_form.second));
  }
  KILN_TRY_ASSIGN(const Json* text, member(*form.second, "expr_str"));
  KILN_TRY_ASSIGN(const std::string_view expression, to_text(*text, kExpressionLengthMax));
  return parse_expression(expression);
}

Result<std::vector<Expression>> read_sizes(const Json& json, std::int64_t value_max) {
  KILN_TRY(expect_array(json, kTensorRankMax));
  std::vector<Expression> sizes;
  for (const Json& item : json) {
    KILN_TRY_ASSIGN(Expression size, read_sym_int(item, value_max));
    sizes.push_back(std::move(size));
  }
  return sizes;
}

// Graphs are traced on the CPU; runner and compile child move them.
Status expect_cpu(const Json& device) {
  KILN_TRY(expect_keys(device, {"type", "index"}));
  KILN_TRY_ASSIGN(const Json* type, member(device, "type"));
  if (*type != "cpu") return fail(input_refused("a device other than 'cpu' in the graph"));
  const auto index = device.find("index");
  if (index != device.end() && !index->is_null() && *index != 0) {
    return fail(input_refused("unknown device index in the graph"));
  }
  return {};
}

Result<TensorDescription> read_tensor(const Json& json) {
  KILN_TRY(expect_keys(json, {"dtype", "sizes", "requires_grad", "device", "strides",
                              "storage_offset", "layout"}));
  TensorDescription tensor;
  KILN_TRY_ASSIGN(const Json* dtype, member(json, "dtype"));
  KILN_TRY_ASSIGN(const std::int64_t dtype_number, to_integer(*dtype));
  KILN_TRY_ASSIGN(tensor.dtype, element_type_from_export(dtype_number));
  KILN_TRY_ASSIGN(const Json* sizes, member(json, "sizes"));
  KILN_TRY_ASSIGN(tensor.sizes, read_sizes(*sizes, kDimensionMax));
  KILN_TRY_ASSIGN(const Json* strides, member(json, "strides"));
  KILN_TRY_ASSIGN(tensor.strides, read_sizes(*strides, kStrideMax));
  if (tensor.sizes.size() != tensor.strides.size()) {
    return fail(input_refused("as many strides as sizes were expected"));
  }
  KILN_TRY_ASSIGN(const Json* grad, member(json, "requires_grad"));
  KILN_TRY(to_bool(*grad));
  KILN_TRY_ASSIGN(const Json* device, member(json, "device"));
  KILN_TRY(expect_cpu(*device));
  KILN_TRY_ASSIGN(const Json* offset, member(json, "storage_offset"));
  KILN_TRY(read_sym_int(*offset, kStrideMax));
  KILN_TRY_ASSIGN(const Json* layout, member(json, "layout"));
  if (*layout != kStridedLayout) return fail(input_refused("only strided tensors are known"));
  return tensor;
}

Result<Expression> read_sym_bool(const Json& json) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  if (form.first == "as_bool") {
    KILN_TRY_ASSIGN(const bool value, to_bool(*form.second));
    return Expression::integer(value ? 1 : 0);
  }
  if (form.first != "as_expr") return fail(input_refused("unknown form of a symbolic bool"));
  KILN_TRY(expect_keys(*form.second, {"expr_str"}));
  KILN_TRY_ASSIGN(const Json* text, member(*form.second, "expr_str"));
  KILN_TRY_ASSIGN(const std::string_view expression, to_text(*text, kExpressionLengthMax));
  return parse_expression(expression);
}

Result<GraphValue> read_value(ValueKind kind, const std::string& name, const Json& json) {
  GraphValue value{name, kind, {}, {}};
  switch (kind) {
    case ValueKind::kTensor: { KILN_TRY_ASSIGN(value.tensor, read_tensor(json)); break; }
    case ValueKind::kSymInt: {
      KILN_TRY_ASSIGN(value.scalar, read_sym_int(json, kDimensionMax));
      break;
    }
    case ValueKind::kSymBool: { KILN_TRY_ASSIGN(value.scalar, read_sym_bool(json)); break; }
  }
  return value;
}

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kNameLengthMax || name.starts_with("__")) return false;
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  if (!letter(name.front())) return false;
  const bool plain = std::all_of(name.begin(), name.end(),
                                 [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
  return plain && std::find(kPythonKeywords.begin(), kPythonKeywords.end(), name) == kPythonKeywords.end();
}

Result<ValueTable> ValueTable::read(const Json& graph) {
  constexpr std::array<std::pair<const char*, ValueKind>, 3> kSections = {
      {{"tensor_values", ValueKind::kTensor},
       {"sym_int_values", ValueKind::kSymInt},
       {"sym_bool_values", ValueKind::kSymBool}}};
  ValueTable table;
  for (const auto& [section, kind] : kSections) {
    KILN_TRY_ASSIGN(const Json* values, member(graph, section));
    KILN_TRY(expect_object(*values));
    for (const auto& [name, json] : values->items()) {
      if (!is_safe_name(name)) {
        return fail(input_refused("{}: '{}' is not a plain name", section, name.substr(0, 64)));
      }
      auto value = read_value(kind, name, json);
      if (!value) return fail(std::move(value).error().with_context("value '" + name + "'"));
      KILN_TRY(table.add(std::move(*value)));
    }
  }
  return table;
}

Status ValueTable::add(GraphValue value) {
  if (values_.size() >= kGraphNodesMax * 2) return fail(input_refused("too many values"));
  const auto id = static_cast<ValueId>(values_.size());
  if (!ids_.emplace(value.name, id).second) {
    return fail(input_refused("value '{}' is described twice", value.name));
  }
  values_.push_back(std::move(value));
  defined_.push_back(false);
  return {};
}

Result<ValueId> ValueTable::find(std::string_view name, bool want_tensor) const {
  const auto found = ids_.find(name);
  if (found == ids_.end()) {
    return fail(input_refused("value '{}' is not described", name.substr(0, 64)));
  }
  if ((values_[found->second].kind == ValueKind::kTensor) != want_tensor) {
    return fail(input_refused("value '{}' is of another kind", name));
  }
  return found->second;
}

Result<ValueId> ValueTable::use(std::string_view name, bool want_tensor) const {
  KILN_TRY_ASSIGN(const ValueId id, find(name, want_tensor));
  if (!defined_[id]) return fail(input_refused("value '{}' is used before it is made", name));
  return id;
}

Status ValueTable::define(ValueId id) {
  if (defined_[id]) return fail(input_refused("value '{}' is made twice", values_[id].name));
  defined_[id] = true;
  return {};
}

}  // namespace kiln::sharding
