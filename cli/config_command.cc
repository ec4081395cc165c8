// kiln config check|dump
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/config.h"

namespace kiln::cli {
namespace {

Result<LoadedConfig> load(const GlobalOptions& options) {
  ConfigSources sources;
  sources.file = options.config_file;
  return load_config(sources);
}

nlohmann::json to_json(const LoadedConfig& loaded) {
  nlohmann::json values;
  for (const Setting& setting : settings()) {
    const std::string name(setting.name);
    const auto origin = loaded.origin.find(setting.name);
    values[name]["origin"] = origin == loaded.origin.end() ? "built-in" : origin->second;
    std::visit([&](const auto& value) { values[name]["value"] = value; }, value_of(loaded.config, setting));
  }
  return {{"file", loaded.file}, {"settings", values}};
}

void print_json(const nlohmann::json& value) {
  fmt::print("{}\n", value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

Result<int> check(const GlobalOptions& options) {
  KILN_TRY_ASSIGN(const LoadedConfig loaded, load(options));
  if (options.json) {
    print_json({{"ok", true}, {"file", loaded.file}});
  } else if (loaded.file.empty()) {
    fmt::print("no configuration file; built-in values{}\n",
               loaded.origin.empty() ? "" : " and KILN_* variables");
  } else {
    fmt::print("{}: good\n", loaded.file);
  }
  return 0;
}

Result<int> dump(const GlobalOptions& options, bool defaults) {
  if (defaults && !options.json) {
    fmt::print("{}", annotated_defaults());
    return 0;
  }
  LoadedConfig loaded;
  if (!defaults) {
    KILN_TRY_ASSIGN(loaded, load(options));
  }
  if (options.json) {
    print_json(to_json(loaded));
  } else {
    fmt::print("{}", dump_config(loaded));
  }
  return 0;
}

}  // namespace

void add_config_command(CLI::App& app, Action& action) {
  CLI::App* config = app.add_subcommand("config", "Show or check the settings");
  config->require_subcommand(1);
  CLI::App* check_command =
      config->add_subcommand("check", "Read the configuration and say whether it is good");
  check_command->callback([&action] { action = check; });

  CLI::App* dump_command =
      config->add_subcommand("dump", "Print the settings in force, and where each came from");
  const auto defaults = std::make_shared<bool>(false);
  dump_command->add_flag("--defaults", *defaults, "Print the built-in settings with their meaning");
  dump_command->callback([&action, defaults] {
    action = [defaults](const GlobalOptions& options) { return dump(options, *defaults); };
  });
}

}  // namespace kiln::cli
