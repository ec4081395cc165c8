// A configuration written out as TOML.
#include <fmt/core.h>

#include "cli/config.h"

namespace kiln::cli {
namespace {

// A TOML basic string.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string text_of(const Config& config, const Setting& setting) {
  const SettingValue value = value_of(config, setting);
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  if (const auto* on = std::get_if<bool>(&value)) return *on ? "true" : "false";
  return fmt::format("{}", std::get<int>(value));
}

std::string bounds_of(const Setting& setting) {
  if (std::holds_alternative<Setting::Place<bool>>(setting.member)) return "true or false";
  if (std::holds_alternative<Setting::Place<int>>(setting.member)) {
    return fmt::format("{} to {}", setting.least, setting.most);
  }
  std::string list;
  for (const std::string_view choice : setting.choices) {
    if (!choice.empty()) list += fmt::format("{}{}", list.empty() ? "" : ", ", choice);
  }
  return list.empty() ? "text" : list;
}

void start_table(std::string& out, const Setting& setting, std::string_view& open_table) {
  const std::string_view table = setting.name.substr(0, setting.name.rfind('.'));
  if (table == open_table) return;
  out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", table);
  open_table = table;
}

}  // namespace

std::string dump_config(const LoadedConfig& loaded) {
  std::string out;
  std::string_view table;
  for (const Setting& setting : settings()) {
    start_table(out, setting, table);
    const auto origin = loaded.origin.find(setting.name);
    out += fmt::format("{} = {}  # {}\n", setting.name.substr(setting.name.rfind('.') + 1),
                       text_of(loaded.config, setting),
                       origin == loaded.origin.end() ? "built-in" : "from " + origin->second);
  }
  return out;
}

std::string annotated_defaults() {
  std::string out =
      "# Settings of Kiln with their built-in values, as `kiln config dump --defaults` prints them.\n"
      "# Copy this file to $XDG_CONFIG_HOME/kiln/kiln.toml (~/.config/kiln/kiln.toml), or name it with\n"
      "# --config. A flag of a command overrides a variable, a variable overrides the file.\n";
  std::string_view table;
  for (const Setting& setting : settings()) {
    start_table(out, setting, table);
    out += fmt::format("# {}\n# {}; {}\n{} = {}\n", setting.description, bounds_of(setting),
                       setting.variable, setting.name.substr(setting.name.rfind('.') + 1),
                       text_of(Config{}, setting));
  }
  return out;
}

}  // namespace kiln::cli
