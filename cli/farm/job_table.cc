#include "cli/farm/job_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <toml++/toml.h>

#include "base/text.h"
#include "net/farm_names.h"

namespace kiln::cli {

void JobTable::allow(std::span<const std::string_view> keys) {
  for (const auto& [key, node] : table_) {
    if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
    const std::string nearest = nearest_name(key.str(), keys);
    wrong(node, fmt::format("unknown key '{}'{}", key.str(), nearest.empty() ? "" : ", did you mean '" + nearest + "'?"));
  }
}

void JobTable::text(std::string_view key, std::string& out, std::size_t bytes_max) {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const auto* value = node->as_string();
  if (value == nullptr) return wrong(*node, fmt::format("'{}' is to be a text", key));
  out = value->get();
  if (out.size() > bytes_max || !is_one_line(out)) {
    wrong(*node, fmt::format("'{}' is to be one line of at most {} bytes", key, bytes_max));
  }
}

void JobTable::lines(std::string_view key, std::string& out, std::size_t bytes_max) {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const auto* value = node->as_string();
  if (value == nullptr) return wrong(*node, fmt::format("'{}' is to be a text", key));
  out = value->get();
  if (out.size() > bytes_max) wrong(*node, fmt::format("'{}' has {} bytes; at most {} are possible", key, out.size(), bytes_max));
}

void JobTable::word(std::string_view key, std::string& out) {
  text(key, out, net::kWordBytesMax);
  if (!net::is_word(out)) wrong(*table_.get(key), fmt::format("'{}' is to be one word of printable ASCII", key));
}

void JobTable::choice(std::string_view key, std::string& out, std::span<const std::string_view> choices) {
  text(key, out);
  const toml::node* node = table_.get(key);
  if (node == nullptr || std::find(choices.begin(), choices.end(), out) != choices.end()) return;
  wrong(*node, fmt::format("'{}' is one of {}", key, fmt::join(choices, ", ")));
}

void JobTable::flag(std::string_view key, bool& out) {
  if (const toml::node* node = table_.get(key)) {
    if (const auto* value = node->as_boolean()) {
      out = value->get();
    } else {
      wrong(*node, fmt::format("'{}' is to be true or false", key));
    }
  }
}

std::optional<std::int64_t> JobTable::whole_number(std::string_view key, std::int64_t least, std::int64_t most) {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = node->as_integer();
  if (value != nullptr && value->get() >= least && value->get() <= most) return value->get();
  wrong(*node, fmt::format("'{}' is to be a whole number from {} to {}", key, least, most));
  return std::nullopt;
}

void JobTable::real(std::string_view key, double& out, double least, double most) {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (value && *value >= least && *value <= most) {
    out = *value;
  } else {
    wrong(*node, fmt::format("'{}' is to be a number from {} to {}", key, least, most));
  }
}

void JobTable::job_names(std::string_view key, std::vector<std::string>& out) {
  const toml::node* node = table_.get(key);
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) return wrong(*node, fmt::format("'{}' is to be a list of texts", key));
  if (list->size() > net::kDependenciesMax) {
    return wrong(*node, fmt::format("'{}' has more than {} entries", key, net::kDependenciesMax));
  }
  for (const toml::node& one : *list) {
    const auto* value = one.as_string();
    if (value == nullptr) return wrong(one, fmt::format("'{}' is to be a list of texts", key));
    if (!net::valid_job_name(value->get())) {
      return wrong(one, fmt::format("'{}' holds what is no job's name ({})", key, net::kJobNameGrammar));
    }
    out.push_back(value->get());
  }
}

std::vector<const toml::table*> JobTable::tables(std::string_view key) {
  std::vector<const toml::table*> out;
  const toml::node* node = table_.get(key);
  if (node == nullptr) return out;
  const auto* list = node->as_array();
  if (list == nullptr) return wrong(*node, fmt::format("'{}' is to be written [[{}]]", key, key)), out;
  for (const toml::node& one : *list) {
    if (one.as_table() == nullptr) return wrong(one, fmt::format("'{}' is to be written [[{}]]", key, key)), out;
    out.push_back(one.as_table());
  }
  return out;
}

const toml::table* JobTable::table(std::string_view key) {
  const toml::node* node = table_.get(key);
  if (node != nullptr && node->as_table() == nullptr) wrong(*node, fmt::format("'{}' is to be written [{}]", key, key));
  return node == nullptr ? nullptr : node->as_table();
}

void JobTable::wrong(const toml::node& node, const std::string& what) {
  if (!error_) error_ = bad_config("{}, line {}: {}", origin_, node.source().begin.line, one_line(what));
}

void JobTable::wrong_at(std::string_view key, const std::string& what) {
  const toml::node* node = table_.get(key);
  wrong(node == nullptr ? table_ : *node, what);
}

Status JobTable::status() const {
  if (error_) return fail(*error_);
  return {};
}

}  // namespace kiln::cli
