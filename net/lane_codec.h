// Bytes on the private socket of a lane <-> the values of lane_messages.h. Any bytes decode or are refused.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/lane_messages.h"

namespace kiln::net {

[[nodiscard]] std::string encode(const ToLane& message);
[[nodiscard]] std::string encode(const FromLane& message);
[[nodiscard]] Result<ToLane> decode_to_lane(std::string_view bytes);
[[nodiscard]] Result<FromLane> decode_from_lane(std::string_view bytes);

}  // namespace kiln::net
