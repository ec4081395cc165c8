#include "sharding/package/manifest_table.h"

#include <algorithm>
#include <cmath>
#include <toml++/toml.h>

#include "base/text.h"

namespace kiln::sharding {

void ManifestTable::set_error(const toml::source_region& where, std::string message) {
  if (error_) return;
  error_ = input_refused("{}, line {}: {}", origin_, where.begin.line, message);
}

void ManifestTable::refuse(std::string_view key, std::string_view what) {
  const toml::node* node = table_.get(key);
  set_error(node != nullptr ? node->source() : table_.source(), fmt::format("'{}' {}", key, what));
}

const toml::node* ManifestTable::find(std::string_view key, bool required) {
  asked_.push_back(key);
  const toml::node* node = table_.get(key);
  if (node == nullptr && required) refuse(key, fmt::format("is missing in {}", name_));
  return node;
}

std::string ManifestTable::text(std::string_view key, bool required) {
  const toml::node* node = find(key, required);
  if (node == nullptr) return {};
  if (const auto value = node->value_exact<std::string>()) return *value;
  refuse(key, "must be text in quotes");
  return {};
}

std::int64_t ManifestTable::integer(std::string_view key, std::int64_t min, std::int64_t max,
                                    std::optional<std::int64_t> fallback) {
  const toml::node* node = find(key, !fallback);
  if (node == nullptr) return fallback.value_or(min);
  const auto value = node->value_exact<std::int64_t>();
  if (!value) refuse(key, "must be a whole number");
  if (value && (*value < min || *value > max)) {
    refuse(key, fmt::format("is {}, which is outside {}..{}", *value, min, max));
  }
  return value.value_or(min);
}

bool ManifestTable::boolean(std::string_view key, bool fallback) {
  const toml::node* node = find(key, false);
  if (node == nullptr) return fallback;
  const auto value = node->value_exact<bool>();
  if (!value) refuse(key, "must be true or false");
  return value.value_or(fallback);
}

double ManifestTable::real(std::string_view key, double fallback) {
  const toml::node* node = find(key, false);
  if (node == nullptr) return fallback;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value >= 0.0)) refuse(key, "must be a number, zero or more");
  return value.value_or(fallback);
}

std::vector<std::int64_t> ManifestTable::integers(std::string_view key, std::size_t length_max,
                                                  std::int64_t value_max) {
  std::vector<std::int64_t> values;
  const toml::node* node = find(key, true);
  if (node == nullptr) return values;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > length_max) {
    refuse(key, fmt::format("must be a list of at most {} whole numbers", length_max));
    return values;
  }
  for (const toml::node& item : *array) {
    const auto value = item.value_exact<std::int64_t>();
    if (!value || *value < 0 || *value > value_max) {
      refuse(key, fmt::format("must hold whole numbers of 0..{}", value_max));
      return values;
    }
    values.push_back(*value);
  }
  return values;
}

std::vector<double> ManifestTable::reals(std::string_view key, std::size_t length_max) {
  std::vector<double> values;
  const toml::node* node = find(key, true);
  if (node == nullptr) return values;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > length_max) {
    refuse(key, fmt::format("must be a list of at most {} numbers", length_max));
    return values;
  }
  for (const toml::node& item : *array) {
    const auto value = item.is_number() ? item.value<double>() : std::nullopt;
    if (!value || !std::isfinite(*value)) {
      refuse(key, "must hold finite numbers");
      return values;
    }
    values.push_back(*value);
  }
  return values;
}

std::vector<std::string> ManifestTable::texts(std::string_view key, std::size_t length_max) {
  std::vector<std::string> values;
  const toml::node* node = find(key, true);
  if (node == nullptr) return values;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > length_max) {
    refuse(key, fmt::format("must be a list of at most {} texts", length_max));
    return values;
  }
  for (const toml::node& item : *array) {
    const auto value = item.value_exact<std::string>();
    if (!value) {
      refuse(key, "must hold texts in quotes");
      return values;
    }
    values.push_back(*value);
  }
  return values;
}

const toml::table* ManifestTable::table(std::string_view key) {
  const toml::node* node = find(key, true);
  if (node == nullptr) return nullptr;
  if (node->as_table() == nullptr) refuse(key, fmt::format("must be a table, [{}]", key));
  return node->as_table();
}

std::vector<const toml::table*> ManifestTable::tables(std::string_view key, std::size_t count_max) {
  std::vector<const toml::table*> tables;
  const toml::node* node = find(key, false);
  if (node == nullptr) return tables;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->size() > count_max) {
    refuse(key, fmt::format("must be written as [[{}]], at most {} times", key, count_max));
    return tables;
  }
  for (const toml::node& item : *array) {
    if (item.as_table() == nullptr) {
      refuse(key, fmt::format("must be written as [[{}]]", key));
      return {};
    }
    tables.push_back(item.as_table());
  }
  return tables;
}

Status ManifestTable::finish() {
  for (const auto& [key, node] : table_) {
    if (std::find(asked_.begin(), asked_.end(), key.str()) != asked_.end()) continue;
    set_error(key.source(), fmt::format("unknown key '{}' in {}.{}", key.str(), name_,
                                        did_you_mean(key.str(), asked_)));
  }
  if (error_) return fail(*error_);
  return {};
}

}  // namespace kiln::sharding
