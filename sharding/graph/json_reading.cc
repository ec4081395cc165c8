#include "sharding/graph/json_reading.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace kiln::sharding {
namespace {

constexpr int kJsonDepthMax = 64;

}  // namespace

Result<Json> load_json(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return fail(input_refused("{} bytes of JSON, at most {} are read", text.size(), bytes_max));
  }
  std::vector<std::set<std::string>> keys;
  std::string problem;
  // nlohmann calls back before it stores a value; returning false drops it, which `problem` reports.
  const Json::parser_callback_t watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kJsonDepthMax) problem = "nested too deeply";
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      problem = "a key appears twice";
    }
    return problem.empty();
  };
  try {
    Json json = Json::parse(text.begin(), text.end(), watch);
    if (!problem.empty()) return fail(input_refused("not acceptable JSON: {}", problem));
    return json;
  } catch (const Json::exception& error) {
    return fail(input_refused("not JSON: {}", error.what()));
  }
}

Status expect_object(const Json& value) {
  if (!value.is_object()) return fail(input_refused("an object was expected"));
  return {};
}

Status expect_array(const Json& value, std::size_t length_max) {
  if (!value.is_array()) return fail(input_refused("a list was expected"));
  if (value.size() > length_max) {
    return fail(input_refused("a list of {}, at most {} are read", value.size(), length_max));
  }
  return {};
}

Status expect_empty(const Json& value) {
  if (!value.is_structured() || !value.empty()) return fail(input_refused("must be empty"));
  return {};
}

Status expect_keys(const Json& object, std::initializer_list<std::string_view> allowed) {
  KILN_TRY(expect_object(object));
  for (const auto& [key, value] : object.items()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      return fail(input_refused("unknown field '{}'", key.substr(0, 64)));
    }
  }
  return {};
}

Result<const Json*> member(const Json& object, const char* key) {
  KILN_TRY(expect_object(object));
  const auto found = object.find(key);
  if (found == object.end()) return fail(input_refused("field '{}' is missing", key));
  return &*found;
}

Result<std::pair<std::string_view, const Json*>> union_case(const Json& value) {
  if (!value.is_object() || value.size() != 1) {
    return fail(input_refused("an object with one member was expected"));
  }
  const auto only = value.begin();
  return std::pair<std::string_view, const Json*>(only.key(), &only.value());
}

Result<std::int64_t> to_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (number <= kMax) return static_cast<std::int64_t>(number);
  } else if (value.is_number_integer()) {
    return value.get<std::int64_t>();
  }
  return fail(input_refused("a whole number of 64 bits was expected"));
}

Result<bool> to_bool(const Json& value) {
  if (!value.is_boolean()) return fail(input_refused("true or false was expected"));
  return value.get<bool>();
}

Result<double> to_real(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  return fail(input_refused("a number was expected"));
}

Result<std::string_view> to_text(const Json& value, std::size_t length_max) {
  if (!value.is_string()) return fail(input_refused("text was expected"));
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > length_max) {
    return fail(input_refused("text of {} bytes, at most {} are read", text.size(), length_max));
  }
  return std::string_view(text);
}

}  // namespace kiln::sharding
