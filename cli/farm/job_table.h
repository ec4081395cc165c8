// One table of a job file, read key by key.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <toml++/impl/forward_declarations.h>
#include <vector>

#include "base/result.h"
#include "net/farm_limits.h"

namespace kiln::cli {

// The first thing that is wrong is kept, with its line; what is read after it is not looked at by anybody.
class JobTable {
 public:
  JobTable(const toml::table& table, const std::string& origin) : table_(table), origin_(origin) {}

  void allow(std::span<const std::string_view> keys);
  // A key that is not there leaves `out` as it is.
  void text(std::string_view key, std::string& out, std::size_t bytes_max = net::kTextBytesMax);
  void lines(std::string_view key, std::string& out, std::size_t bytes_max);  // any text
  void word(std::string_view key, std::string& out);
  void choice(std::string_view key, std::string& out, std::span<const std::string_view> choices);
  void flag(std::string_view key, bool& out);
  template <typename Number>
  void number(std::string_view key, Number& out, std::int64_t least, std::int64_t most) {
    if (const auto value = whole_number(key, least, most)) out = static_cast<Number>(*value);
  }
  void real(std::string_view key, double& out, double least, double most);
  void job_names(std::string_view key, std::vector<std::string>& out);
  // The tables of [[key]].
  [[nodiscard]] std::vector<const toml::table*> tables(std::string_view key);
  // That of [key]; nullptr: there is none.
  [[nodiscard]] const toml::table* table(std::string_view key);

  void wrong(const toml::node& node, const std::string& what);
  // Where that key is, or the table.
  void wrong_at(std::string_view key, const std::string& what);
  [[nodiscard]] Status status() const;

 private:
  [[nodiscard]] std::optional<std::int64_t> whole_number(std::string_view key, std::int64_t least, std::int64_t most);

  const toml::table& table_;
  const std::string& origin_;
  std::optional<Error> error_;
};

}  // namespace kiln::cli
