// The operators that a graph may use. Everything else is refused: an operator that reads a file, draws
// random numbers or runs code has no place in a network that came from somebody else.
#pragma once

#include <cstdint>
#include <string_view>

namespace kiln::sharding {

// How an operator's result relates to the memory of its arguments.
enum class Storage : std::uint8_t {
  kFresh,     // new memory
  kView,      // always the first tensor argument's memory
  kMaybeView, // the first tensor argument's memory when strides (or dtype) allow, else new
  kInPlace,   // writes into its first argument and returns it
  kNothing,   // no result (assertions)
};

struct OperatorTraits {
  Storage storage = Storage::kFresh;
};

// nullptr when `op` ("aten::conv2d") is off the list.
[[nodiscard]] const OperatorTraits* find_operator(std::string_view op);

// Functions of Python scalars that export writes into graphs with symbolic sizes: "_operator.mul",
// "torch.sym_min", …; empty when off the list, else our name for it ("sym::mul").
[[nodiscard]] std::string_view find_scalar_function(std::string_view target);

}  // namespace kiln::sharding
