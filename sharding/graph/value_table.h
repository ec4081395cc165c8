// The named values of a graph while it is being read. Internal to the parser.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sharding/graph/exported_graph.h"
#include "sharding/graph/json_reading.h"

namespace kiln::sharding {

// Names of values reach the Python code that torch generates and executes, so they are plain
// identifiers: no keyword, no leading "__", at most kNameLengthMax.
[[nodiscard]] bool is_safe_name(std::string_view name);

class ValueTable {
 public:
  // Fills the table from the graph's tensor_values, sym_int_values and sym_bool_values.
  [[nodiscard]] static Result<ValueTable> read(const Json& graph);

  // A value may be used once it is defined, and is defined once.
  [[nodiscard]] Status define(ValueId id);
  [[nodiscard]] Result<ValueId> find(std::string_view name, bool want_tensor) const;
  [[nodiscard]] Result<ValueId> use(std::string_view name, bool want_tensor) const;
  [[nodiscard]] std::vector<GraphValue> take_values() && { return std::move(values_); }
  [[nodiscard]] const std::vector<GraphValue>& values() const { return values_; }

 private:
  [[nodiscard]] Status add(GraphValue value);

  std::vector<GraphValue> values_;
  std::map<std::string, ValueId, std::less<>> ids_;
  std::vector<bool> defined_;
};

[[nodiscard]] Result<Argument> read_argument(const Json& json, const ValueTable& table);
// {"as_tensor": {"name": …}} → the tensor's name.
[[nodiscard]] Result<std::string_view> read_tensor_name(const Json& json);

}  // namespace kiln::sharding
