// Typed access to one table of a TOML document: every key is asked for once, with its type and bounds,
// and what nobody asked for is an error with the nearest name. Internal to the manifest reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <toml++/impl/forward_declarations.h>
#include <vector>

#include "base/result.h"

namespace kiln::sharding {

// Errors are collected: the first one is what finish() gives.
class ManifestTable {
 public:
  ManifestTable(const toml::table& table, std::string name, std::string_view origin)
      : table_(table), name_(std::move(name)), origin_(origin) {}

  [[nodiscard]] std::string text(std::string_view key, bool required = true);
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t min, std::int64_t max,
                                     std::optional<std::int64_t> fallback = std::nullopt);
  [[nodiscard]] bool boolean(std::string_view key, bool fallback);
  [[nodiscard]] double real(std::string_view key, double fallback);
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::size_t length_max,
                                                   std::int64_t value_max);
  [[nodiscard]] std::vector<double> reals(std::string_view key, std::size_t length_max);
  [[nodiscard]] std::vector<std::string> texts(std::string_view key, std::size_t length_max);
  [[nodiscard]] const toml::table* table(std::string_view key);
  // The tables of `[[key]]`; none where the key is missing.
  [[nodiscard]] std::vector<const toml::table*> tables(std::string_view key, std::size_t count_max);

  void refuse(std::string_view key, std::string_view what);
  [[nodiscard]] Status finish();

 private:
  const toml::node* find(std::string_view key, bool required);
  void set_error(const toml::source_region& where, std::string message);

  const toml::table& table_;
  std::string name_;
  std::string_view origin_;
  std::vector<std::string_view> asked_;
  std::optional<Error> error_;
};

}  // namespace kiln::sharding
