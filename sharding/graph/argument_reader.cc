// read_argument(): one argument of a node, by kind. Kinds that name code or objects (operators,
// subgraphs, custom objects) are not among them.
#include <nlohmann/json.hpp>

#include "sharding/graph/value_table.h"

namespace kiln::sharding {
namespace {

constexpr std::size_t kStringLengthMax = 1024;

Result<std::string_view> read_name(const Json& json) {
  KILN_TRY(expect_keys(json, {"name"}));
  KILN_TRY_ASSIGN(const Json* name, member(json, "name"));
  return to_text(*name, kNameLengthMax);
}

Result<TensorRef> read_tensor_ref(const Json& json, const ValueTable& table) {
  KILN_TRY_ASSIGN(const std::string_view name, read_name(json));
  KILN_TRY_ASSIGN(const ValueId id, table.use(name, true));
  return TensorRef{id};
}

Result<OptionalTensorRef> read_optional_tensor(const Json& json, const ValueTable& table) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  if (form.first == "as_none") return OptionalTensorRef(NoneArgument{});
  if (form.first != "as_tensor") return fail(input_refused("unknown form of an optional tensor"));
  KILN_TRY_ASSIGN(const TensorRef tensor, read_tensor_ref(*form.second, table));
  return OptionalTensorRef(tensor);
}

Result<IntOrSymbol> read_int_or_symbol(const Json& json, const ValueTable& table) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  if (form.first == "as_int") {
    KILN_TRY_ASSIGN(const std::int64_t value, to_integer(*form.second));
    return IntOrSymbol(value);
  }
  if (form.first != "as_name") return fail(input_refused("unknown form of a symbolic int"));
  KILN_TRY_ASSIGN(const std::string_view name, to_text(*form.second, kNameLengthMax));
  KILN_TRY_ASSIGN(const ValueId id, table.use(name, false));
  return IntOrSymbol(SymbolRef{id});
}

template <typename Item, typename Read>
Result<Argument> read_list(const Json& json, const Read& read) {
  KILN_TRY(expect_array(json, kListLengthMax));
  std::vector<Item> items;
  for (const Json& element : json) {
    KILN_TRY_ASSIGN(auto item, read(element));
    items.push_back(Item(std::move(item)));
  }
  return Argument(std::move(items));
}

Result<Argument> read_symbol(const Json& json, const ValueTable& table) {
  if (json.is_object() && json.size() == 1 && json.contains("as_bool")) {
    KILN_TRY_ASSIGN(const bool value, to_bool(json["as_bool"]));
    return Argument(value);
  }
  KILN_TRY_ASSIGN(const IntOrSymbol value, read_int_or_symbol(json, table));
  if (const auto* number = std::get_if<std::int64_t>(&value)) return Argument(*number);
  return Argument(std::get<SymbolRef>(value));
}

Result<Argument> read_memory_format(const Json& json) {
  KILN_TRY_ASSIGN(const std::int64_t number, to_integer(json));
  if (number < 1 || number > 4) return fail(input_refused("unknown memory format {}", number));
  return Argument(static_cast<MemoryFormat>(number));
}

Result<Argument> read_layout(const Json& json) {
  if (json != 7) return fail(input_refused("only strided tensors are known"));
  return Argument(LayoutArgument{});
}

Result<Argument> read_device(const Json& json) {
  KILN_TRY(expect_keys(json, {"type", "index"}));
  KILN_TRY_ASSIGN(const Json* type, member(json, "type"));
  if (*type != "cpu") return fail(input_refused("a device other than 'cpu' in the graph"));
  return Argument(DeviceArgument{});
}

Result<Argument> read_lists(std::string_view form, const Json& json, const ValueTable& table) {
  if (form == "as_tensors") {
    return read_list<TensorRef>(json, [&](const Json& j) { return read_tensor_ref(j, table); });
  }
  if (form == "as_optional_tensors") {
    return read_list<OptionalTensorRef>(json,
                                        [&](const Json& j) { return read_optional_tensor(j, table); });
  }
  if (form == "as_ints") {
    return read_list<IntOrSymbol>(json, [](const Json& j) { return to_integer(j); });
  }
  if (form == "as_sym_ints") {
    return read_list<IntOrSymbol>(json, [&](const Json& j) { return read_int_or_symbol(j, table); });
  }
  if (form == "as_floats") {
    return read_list<double>(json, [](const Json& j) { return to_real(j); });
  }
  if (form == "as_bools") {
    return read_list<bool>(json, [](const Json& j) { return to_bool(j); });
  }
  return fail(input_refused("arguments of the kind '{}' are refused", form.substr(0, 64)));
}

template <typename T>
Result<Argument> wrap(Result<T> value) {
  if (!value) return fail(std::move(value).error());
  return Argument(std::move(*value));
}

}  // namespace

Result<std::string_view> read_tensor_name(const Json& json) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  if (form.first != "as_tensor") {
    return fail(input_refused("a tensor was expected, not '{}'", form.first.substr(0, 64)));
  }
  return read_name(*form.second);
}

Result<Argument> read_argument(const Json& json, const ValueTable& table) {
  KILN_TRY_ASSIGN(const auto form, union_case(json));
  const auto& [kind, value] = form;
  if (kind == "as_none") return Argument(NoneArgument{});
  if (kind == "as_tensor") return wrap(read_tensor_ref(*value, table));
  if (kind == "as_int") return wrap(to_integer(*value));
  if (kind == "as_float") return wrap(to_real(*value));
  if (kind == "as_bool") return wrap(to_bool(*value));
  if (kind == "as_sym_int" || kind == "as_sym_bool") return read_symbol(*value, table);
  if (kind == "as_memory_format") return read_memory_format(*value);
  if (kind == "as_layout") return read_layout(*value);
  if (kind == "as_device") return read_device(*value);
  if (kind == "as_scalar_type") {
    KILN_TRY_ASSIGN(const std::int64_t number, to_integer(*value));
    return wrap(element_type_from_export(number));
  }
  if (kind == "as_string") {
    KILN_TRY_ASSIGN(const std::string_view text, to_text(*value, kStringLengthMax));
    return Argument(StringArgument{std::string(text)});
  }
  if (kind == "as_optional_tensor") {
    KILN_TRY_ASSIGN(const OptionalTensorRef tensor, read_optional_tensor(*value, table));
    if (const auto* ref = std::get_if<TensorRef>(&tensor)) return Argument(*ref);
    return Argument(NoneArgument{});
  }
  return read_lists(kind, *value, table);
}

}  // namespace kiln::sharding
