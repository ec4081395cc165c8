#include "lane/engine/argument_packing.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <type_traits>

#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

using namespace sharding;

const c10::Type& without_optional(const c10::TypePtr& type) {
  if (type->kind() != c10::TypeKind::OptionalType) return *type;
  return *type->containedType(0);
}

// A Python number where the schema wants a tensor takes part in type promotion as a number would.
c10::IValue wrapped_number(const c10::Scalar& value) {
  at::Tensor tensor = at::scalar_to_tensor(value);
  tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
  return tensor;
}

template <typename Number>
c10::IValue pack_number(Number value, const c10::Argument& schema) {
  const c10::Type& type = without_optional(schema.real_type());
  if (type.kind() == c10::TypeKind::TensorType) return wrapped_number(value);
  if (type.kind() == c10::TypeKind::FloatType) return static_cast<double>(value);
  if (type.kind() == c10::TypeKind::ListType) {  // "int[2] padding=0": one number stands for all
    const auto count = static_cast<std::size_t>(schema.N().value_or(1));
    if (type.containedType(0)->kind() == c10::TypeKind::FloatType) {
      return c10::IValue(std::vector<double>(count, static_cast<double>(value)));
    }
    return c10::IValue(std::vector<std::int64_t>(count, static_cast<std::int64_t>(value)));
  }
  return value;
}

c10::IValue pack_symbol(SymbolRef symbol, const c10::Argument& schema, const Slots& slots) {
  const c10::IValue& value = slots[symbol.value];
  if (value.isBool()) return value.toBool();
  return pack_number(value.toInt(), schema);
}

c10::IValue pack_tensors(const std::vector<TensorRef>& list, const c10::Argument& schema,
                         const Slots& slots) {
  const c10::Type& type = without_optional(schema.real_type());
  const bool optional_items = type.kind() == c10::TypeKind::ListType &&
                              type.containedType(0)->kind() == c10::TypeKind::OptionalType;
  if (optional_items) {
    c10::List<std::optional<at::Tensor>> tensors;
    for (const TensorRef item : list) tensors.push_back(slots[item.value].toTensor());
    return tensors;
  }
  c10::List<at::Tensor> tensors;
  tensors.reserve(list.size());
  for (const TensorRef item : list) tensors.push_back(slots[item.value].toTensor());
  return tensors;
}

c10::IValue pack_optional_tensors(const std::vector<OptionalTensorRef>& list, const Slots& slots) {
  c10::List<std::optional<at::Tensor>> tensors;
  for (const OptionalTensorRef& item : list) {
    const auto* ref = std::get_if<TensorRef>(&item);
    tensors.push_back(ref == nullptr ? std::nullopt
                                     : std::optional<at::Tensor>(slots[ref->value].toTensor()));
  }
  return tensors;
}

c10::IValue pack_ints(const std::vector<IntOrSymbol>& list, const c10::Argument& schema,
                      const Slots& slots) {
  const c10::Type& type = without_optional(schema.real_type());
  std::vector<std::int64_t> values = resolve_ints(list, slots);
  const bool is_list = type.kind() == c10::TypeKind::ListType;
  const auto item = is_list ? type.containedType(0)->kind() : c10::TypeKind::IntType;
  if (item == c10::TypeKind::FloatType) {
    return c10::IValue(std::vector<double>(values.begin(), values.end()));
  }
  if (values.empty() && item == c10::TypeKind::TensorType) return c10::List<at::Tensor>();
  return c10::IValue(std::move(values));
}

}  // namespace

std::vector<std::int64_t> resolve_ints(const std::vector<IntOrSymbol>& list, const Slots& slots) {
  std::vector<std::int64_t> values;
  values.reserve(list.size());
  for (const IntOrSymbol& item : list) {
    const auto* symbol = std::get_if<SymbolRef>(&item);
    values.push_back(symbol != nullptr ? slots[symbol->value].toInt() : std::get<std::int64_t>(item));
  }
  return values;
}

c10::IValue pack_argument(const Argument& argument, const c10::Argument& schema, const Slots& slots,
                          c10::Device device) {
  return std::visit(
      [&](const auto& value) -> c10::IValue {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, NoneArgument>) return {};
        else if constexpr (std::is_same_v<T, TensorRef>) return slots[value.value];
        else if constexpr (std::is_same_v<T, SymbolRef>) return pack_symbol(value, schema, slots);
        else if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, double> ||
                           std::is_same_v<T, bool>) return pack_number(value, schema);
        else if constexpr (std::is_same_v<T, StringArgument>) return value.text;
        else if constexpr (std::is_same_v<T, ElementType>) return static_cast<std::int64_t>(to_torch(value));
        else if constexpr (std::is_same_v<T, MemoryFormat>) return static_cast<std::int64_t>(to_torch(value));
        else if constexpr (std::is_same_v<T, DeviceArgument>) return device;
        else if constexpr (std::is_same_v<T, LayoutArgument>) return static_cast<std::int64_t>(c10::kStrided);
        else if constexpr (std::is_same_v<T, std::vector<TensorRef>>) return pack_tensors(value, schema, slots);
        else if constexpr (std::is_same_v<T, std::vector<OptionalTensorRef>>) return pack_optional_tensors(value, slots);
        else if constexpr (std::is_same_v<T, std::vector<IntOrSymbol>>) return pack_ints(value, schema, slots);
        else return c10::IValue(value);
      },
      argument);
}

}  // namespace kiln::lane
