// Strong ids: a ClipId cannot be passed where a LaneId is meant.
#pragma once

#include <compare>
#include <cstdint>

namespace kiln {

template <typename Tag, typename Value = std::uint32_t>
struct StrongId {
  Value value = 0;
  auto operator<=>(const StrongId&) const = default;
};

using LaneId = StrongId<struct LaneTag>;
using ClipId = StrongId<struct ClipTag>;
using TaskId = StrongId<struct TaskTag, std::uint64_t>;
// The how-manieth try of a task; late messages of an older attempt are counted and dropped.
using Attempt = StrongId<struct AttemptTag>;

}  // namespace kiln
