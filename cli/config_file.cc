#include "cli/config_file.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>
#include <toml++/toml.h>

namespace kiln::cli {
namespace {

constexpr std::size_t kMostFileBytes = 1U << 20U;

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::array:
      return "a list";
    case toml::node_type::floating_point:
      return "a fraction";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
      return "a date or time";
    default:
      return "a table";
  }
}

FileValue to_value(std::string name, const toml::node& node) {
  FileValue value{std::move(name), OtherKind{kind_of(node)}, static_cast<int>(node.source().begin.line)};
  if (const auto* number = node.as_integer()) value.value = number->get();
  if (const auto* on = node.as_boolean()) value.value = on->get();
  if (const auto* text = node.as_string()) value.value = text->get();
  return value;
}

// toml++ bounds how deep tables nest, so the recursion is bounded too.
void flatten(const toml::table& table, const std::string& prefix, std::vector<FileValue>& values) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->empty()) {
      flatten(*inner, name + ".", values);
    } else {
      values.push_back(to_value(name, node));
    }
  }
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return fail(bad_config("configuration file '{}': {}", path, std::generic_category().message(errno)));
  }
  std::string text(kMostFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad() || !file.eof()) {
    return fail(bad_config("configuration file '{}' cannot be read, or is longer than {} bytes", path,
                           kMostFileBytes));
  }
  return text;
}

}  // namespace

Result<std::vector<FileValue>> read_config_file(const std::string& path) {
  KILN_TRY_ASSIGN(const std::string text, read_text(path));
  std::vector<FileValue> values;
  try {
    flatten(toml::parse(text), "", values);
  } catch (const toml::parse_error& error) {
    return fail(bad_config("{}:{}: not TOML: {}", path, error.source().begin.line, error.description()));
  }
  std::sort(values.begin(), values.end(),
            [](const FileValue& a, const FileValue& b) { return a.line < b.line; });
  return values;
}

}  // namespace kiln::cli
