// Arguments of a graph's node → the boxed values that LibTorch's dispatcher takes.
#pragma once

#include <vector>

#include "base/result.h"
#include "sharding/graph/exported_graph.h"

namespace c10 {
struct Argument;
struct Device;
struct IValue;
}  // namespace c10

namespace kiln::lane {

// One value per graph value: a tensor, an int or a bool; None where there is none (any more).
using Slots = std::vector<c10::IValue>;

// Values of a list of ints, some of them symbols.
[[nodiscard]] std::vector<std::int64_t> resolve_ints(const std::vector<sharding::IntOrSymbol>& list,
                                                     const Slots& slots);

// What `argument` is for a parameter of the schema's type. Wrong combinations throw c10::Error when the
// operator is called.
[[nodiscard]] c10::IValue pack_argument(const sharding::Argument& argument, const c10::Argument& schema,
                                        const Slots& slots, c10::Device device);

}  // namespace kiln::lane
