// Strict reading of JSON members: every access says what it expected. Internal to sharding/.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace kiln::sharding {

using Json = nlohmann::json;

// Refuses what two JSON readers could understand differently: repeated keys, deep nesting, bad UTF-8,
// text after the end.
[[nodiscard]] Result<Json> load_json(std::string_view text, std::size_t bytes_max);

// The object's keys are all among `allowed`; a graph with a field we do not know is refused, since
// torch might act on it.
[[nodiscard]] Status expect_keys(const Json& object, std::initializer_list<std::string_view> allowed);
[[nodiscard]] Status expect_array(const Json& value, std::size_t length_max);
[[nodiscard]] Status expect_object(const Json& value);
[[nodiscard]] Status expect_empty(const Json& value);  // {} or []
[[nodiscard]] Result<const Json*> member(const Json& object, const char* key);

// An object with exactly one member, as torch writes unions: its name and value.
[[nodiscard]] Result<std::pair<std::string_view, const Json*>> union_case(const Json& value);

[[nodiscard]] Result<std::int64_t> to_integer(const Json& value);
[[nodiscard]] Result<bool> to_bool(const Json& value);
[[nodiscard]] Result<double> to_real(const Json& value);  // also "Infinity", "-Infinity", "NaN"
[[nodiscard]] Result<std::string_view> to_text(const Json& value, std::size_t length_max);

}  // namespace kiln::sharding
