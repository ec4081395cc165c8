// A small valid exported program, and ways to damage it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace kiln::sharding {

inline nlohmann::json tensor_meta(const std::string& height, int channels = 3) {
  const auto expression = [](const std::string& text) {
    return nlohmann::json{{"as_expr", {{"expr_str", text}, {"hint", {{"as_int", 32}}}}}};
  };
  return {{"dtype", 7},
          {"sizes", {{{"as_int", 1}}, {{"as_int", channels}}, expression(height), {{"as_int", 16}}}},
          {"requires_grad", false},
          {"device", {{"type", "cpu"}, {"index", nullptr}}},
          {"strides",
           {expression("Mul(Integer(" + std::to_string(16 * channels) + "), " + height + ")"),
            {{"as_int", 1}},
            {{"as_int", 16 * channels}},
            {{"as_int", channels}}}},
          {"storage_offset", {{"as_int", 0}}},
          {"layout", 7}};
}

inline nlohmann::json tensor_argument(const std::string& name) {
  return {{"as_tensor", {{"name", name}}}};
}

inline nlohmann::json node(const std::string& target, const std::string& input, const std::string& output) {
  return {{"target", target},
          {"inputs", {{{"name", "self"}, {"arg", tensor_argument(input)}, {"kind", 1}}}},
          {"outputs", {tensor_argument(output)}},
          {"metadata", nlohmann::json::object()},
          {"is_hop_single_tensor_return", nullptr},
          {"name", output}};
}

constexpr const char* kHeight = "Mul(Integer(2), Symbol('s7', positive=True, integer=True))";

// x → relu → sigmoid → neg; the height is 2 * s7, with s7 in 8..100.
inline nlohmann::json sample_program() {
  const std::string spec_leaf = R"({"type":null,"context":null,"children_spec":[]})";
  const std::string in_spec = R"([1,{"type":"builtins.tuple","context":"null","children_spec":[)"
                              R"({"type":"builtins.tuple","context":"null","children_spec":[)" +
                              spec_leaf + R"(]},{"type":"builtins.dict","context":"[]","children_spec":[]}]}])";
  nlohmann::json graph = {
      {"inputs", {tensor_argument("x")}},
      {"outputs", {tensor_argument("neg")}},
      {"nodes",
       {node("torch.ops.aten.relu.default", "x", "relu"),
        node("torch.ops.aten.sigmoid.default", "relu", "sigmoid"),
        node("torch.ops.aten.neg.default", "sigmoid", "neg")}},
      {"tensor_values",
       {{"x", tensor_meta(kHeight)}, {"relu", tensor_meta(kHeight)}, {"sigmoid", tensor_meta(kHeight)},
        {"neg", tensor_meta(kHeight)}}},
      {"sym_int_values", nlohmann::json::object()},
      {"sym_bool_values", nlohmann::json::object()},
      {"is_single_tensor_return", false},
      {"custom_obj_values", nlohmann::json::object()},
      {"sym_float_values", nlohmann::json::object()}};
  nlohmann::json call = {{"inputs", {tensor_argument("x")}},
                         {"outputs", {tensor_argument("neg")}},
                         {"in_spec", in_spec},
                         {"out_spec", "[1," + spec_leaf + "]"},
                         {"forward_arg_names", {"x"}}};
  nlohmann::json module = {
      {"graph", graph},
      {"signature",
       {{"input_specs", {{{"user_input", {{"arg", tensor_argument("x")}}}}}},
        {"output_specs", {{{"user_output", {{"arg", tensor_argument("neg")}}}}}}}},
      {"module_call_graph", {{{"fqn", ""}, {"signature", call}}}},
      {"metadata", nlohmann::json::object()},
      {"treespec_namedtuple_fields", nlohmann::json::object()}};
  return {{"graph_module", module},
          {"opset_version", {{"aten", 10}}},
          {"range_constraints", {{"s7", {{"min_val", 8}, {"max_val", 100}}}}},
          {"schema_version", {{"major", 8}, {"minor", 17}}},
          {"verifiers", {"TRAINING"}},
          {"torch_version", "2.11.0"},
          {"guards_code", nlohmann::json::array()}};
}

}  // namespace kiln::sharding
