// The parts of an exported program around its graph. torch.export.load would import, look up, evaluate
// or generate code from most of them, so they hold exactly what an export of a flat function holds.
#include "sharding/graph/program_checks.h"

#include <nlohmann/json.hpp>

#include "sharding/graph/value_table.h"

namespace kiln::sharding {
namespace {

constexpr std::int64_t kSchemaMajor = 8;
constexpr std::size_t kTreeSpecBytesMax = std::size_t{16} << 20U;
constexpr std::size_t kTextMax = 64;

Status expect_known_version(const Json& program) {
  KILN_TRY_ASSIGN(const Json* version, member(program, "schema_version"));
  KILN_TRY_ASSIGN(const Json* major, member(*version, "major"));
  KILN_TRY_ASSIGN(const std::int64_t number, to_integer(*major));
  if (number != kSchemaMajor) {
    return fail(input_refused("graph schema {}, this build reads {}: import the model again", number,
                              kSchemaMajor));
  }
  return {};
}

// Tuples, lists and empty dicts only: torch imports modules for other containers' contexts.
Status check_tree_node(const Json& node) {
  KILN_TRY(expect_keys(node, {"type", "context", "children_spec"}));
  KILN_TRY_ASSIGN(const Json* type, member(node, "type"));
  KILN_TRY_ASSIGN(const Json* context, member(node, "context"));
  KILN_TRY_ASSIGN(const Json* children, member(node, "children_spec"));
  KILN_TRY(expect_array(*children, kGraphInputsMax));
  const bool leaf = type->is_null() && context->is_null() && children->empty();
  const bool sequence = (*type == "builtins.tuple" || *type == "builtins.list") && *context == "null";
  const bool no_keywords = *type == "builtins.dict" && *context == "[]" && children->empty();
  if (!leaf && !sequence && !no_keywords) return fail(input_refused("unknown container in the call"));
  for (const Json& child : *children) KILN_TRY(check_tree_node(child));  // depth: load_json's bound
  return {};
}

Status check_tree_spec(const Json& text_json) {
  KILN_TRY_ASSIGN(const std::string_view text, to_text(text_json, kTreeSpecBytesMax));
  KILN_TRY_ASSIGN(const Json spec, load_json(text, kTreeSpecBytesMax));
  if (!spec.is_array() || spec.size() != 2 || spec[0] != 1) {
    return fail(input_refused("unknown tree specification"));
  }
  return check_tree_node(spec[1]);
}

Status check_call_signature(const Json& signature) {
  KILN_TRY(expect_keys(signature, {"inputs", "outputs", "in_spec", "out_spec", "forward_arg_names"}));
  for (const char* list : {"inputs", "outputs"}) {
    KILN_TRY_ASSIGN(const Json* entries, member(signature, list));
    KILN_TRY(expect_array(*entries, kGraphInputsMax));
    for (const Json& entry : *entries) {
      KILN_TRY_ASSIGN(const std::string_view name, read_tensor_name(entry));
      if (!is_safe_name(name)) return fail(input_refused("an argument's name is not a plain name"));
    }
  }
  for (const char* spec : {"in_spec", "out_spec"}) {
    KILN_TRY_ASSIGN(const Json* text, member(signature, spec));
    KILN_TRY(check_tree_spec(*text));
  }
  const auto names = signature.find("forward_arg_names");
  if (names == signature.end() || names->is_null()) return {};
  KILN_TRY(expect_array(*names, kGraphInputsMax));
  for (const Json& item : *names) {
    KILN_TRY_ASSIGN(const std::string_view name, to_text(item, kNameLengthMax));
    if (!is_safe_name(name)) return fail(input_refused("an argument's name is not a plain name"));
  }
  return {};
}

Status check_call_graph(const Json& module) {
  KILN_TRY_ASSIGN(const Json* entries, member(module, "module_call_graph"));
  KILN_TRY(expect_array(*entries, 1));
  for (const Json& entry : *entries) {
    KILN_TRY(expect_keys(entry, {"fqn", "signature"}));
    KILN_TRY_ASSIGN(const Json* fqn, member(entry, "fqn"));
    if (*fqn != "") return fail(input_refused("a graph of several modules"));
    const auto signature = entry.find("signature");
    if (signature == entry.end() || signature->is_null()) continue;
    KILN_TRY(check_call_signature(*signature));
  }
  return {};
}

// Names of the tensors of input_specs or output_specs, which must all be plain user values: weights are
// inputs, and a graph has no state of its own.
Status check_specs(const Json& signature, const char* list, std::string_view form, const Json& expected) {
  KILN_TRY_ASSIGN(const Json* specs, member(signature, list));
  KILN_TRY(expect_array(*specs, kGraphInputsMax));
  if (specs->size() != expected.size()) return fail(input_refused("{}: wrong length", list));
  for (std::size_t i = 0; i < specs->size(); ++i) {
    KILN_TRY_ASSIGN(const auto spec, union_case((*specs)[i]));
    if (spec.first != form) {
      return fail(input_refused("{}: '{}' is not a plain tensor of the call: the graph must have no "
                                "weights, constants or state of its own",
                                list, spec.first.substr(0, kTextMax)));
    }
    KILN_TRY(expect_keys(*spec.second, {"arg"}));
    KILN_TRY_ASSIGN(const Json* arg, member(*spec.second, "arg"));
    if (*arg != expected[i]) return fail(input_refused("{}: differs from the graph's own list", list));
  }
  return {};
}

Status check_signature(const Json& module, const Json& graph) {
  KILN_TRY_ASSIGN(const Json* signature, member(module, "signature"));
  KILN_TRY(expect_keys(*signature, {"input_specs", "output_specs"}));
  KILN_TRY_ASSIGN(const Json* inputs, member(graph, "inputs"));
  KILN_TRY_ASSIGN(const Json* outputs, member(graph, "outputs"));
  KILN_TRY(expect_array(*inputs, kGraphInputsMax));
  KILN_TRY(expect_array(*outputs, kNodeArgumentsMax));
  KILN_TRY(check_specs(*signature, "input_specs", "user_input", *inputs));
  return check_specs(*signature, "output_specs", "user_output", *outputs);
}

// Fields that must be empty, since torch would evaluate, import or look up what is in them.
Status check_empty_fields(const Json& program, const Json& module, const Json& graph) {
  for (const auto& [object, key] : std::initializer_list<std::pair<const Json*, const char*>>{
           {&program, "guards_code"}, {&module, "metadata"}, {&module, "treespec_namedtuple_fields"},
           {&graph, "custom_obj_values"}, {&graph, "sym_float_values"}}) {
    const auto found = object->find(key);
    if (found == object->end()) continue;
    if (auto status = expect_empty(*found); !status) return fail(status.error().with_context(key));
  }
  const auto single = graph.find("is_single_tensor_return");
  if (single != graph.end() && *single != false) return fail(input_refused("is_single_tensor_return"));
  return {};
}

Status check_program_fields(const Json& program) {
  KILN_TRY(expect_keys(program, {"graph_module", "opset_version", "range_constraints", "schema_version",
                                 "verifiers", "torch_version", "guards_code"}));
  KILN_TRY(expect_known_version(program));
  KILN_TRY_ASSIGN(const Json* verifiers, member(program, "verifiers"));
  KILN_TRY(expect_array(*verifiers, 1));
  for (const Json& verifier : *verifiers) {
    if (verifier != "TRAINING" && verifier != "ATEN") return fail(input_refused("unknown verifier"));
  }
  KILN_TRY_ASSIGN(const Json* opsets, member(program, "opset_version"));
  KILN_TRY(expect_keys(*opsets, {"aten"}));
  KILN_TRY_ASSIGN(const Json* version, member(program, "torch_version"));
  return to_text(*version, kTextMax).map([](std::string_view) {});
}

}  // namespace

Status check_program(const Json& program, const Json& module, const Json& graph) {
  KILN_TRY(check_program_fields(program));
  KILN_TRY(expect_keys(module, {"graph", "signature", "module_call_graph", "metadata",
                                "treespec_namedtuple_fields"}));
  KILN_TRY(expect_object(graph));
  KILN_TRY(check_empty_fields(program, module, graph));
  KILN_TRY(check_signature(module, graph));
  return check_call_graph(module);
}

}  // namespace kiln::sharding
