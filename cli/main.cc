// The program `kiln`: everything but LibTorch. Starts in milliseconds.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/log.h"
#include "cli/command.h"
#include "cli/error_report.h"
#include "cli/version.h"

namespace kiln::cli {
namespace {

// With --json also what needs no command: who this is, and what there is.
std::string about_json(const CLI::App& app) {
  nlohmann::json commands = nlohmann::json::object();
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands[command->get_name()] = command->get_description();
  }
  return nlohmann::json{{"version", KILN_VERSION}, {"about", version_text()}, {"commands", commands}}.dump();
}

// CLI11 has exit codes and a layout of its own; ours are one line and those in base/error.h.
int report_parse_error(const CLI::App& app, const CLI::ParseError& error, GlobalOptions options, int argc,
                       char** argv) {
  // Parsing may have ended before it came to this one.
  options.json = std::any_of(argv + 1, argv + argc, [](std::string_view word) { return word == "--json"; });
  if (options.json && dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr) {
    fmt::print("{}\n", about_json(app));
    return 0;
  }
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  report_error(make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage, "{}; --help shows what there is", message),
               options.json);
  return static_cast<int>(ExitCode::kUsage);
}

int run(int argc, char** argv) {
  GlobalOptions options;  // first: it holds the time at which the command began
  CLI::App app("Kiln: a render farm for video models");
  app.set_version_flag("--version", version_text());
  app.require_subcommand(0, 1);

  app.add_flag("--json", options.json, "Print one JSON value on stdout");
  app.add_flag("-v,--verbose", options.verbose, "Log what happens in detail");
  app.add_option("--config", options.config_file, "TOML configuration file");
  app.fallthrough();

  Action action;
  add_run_command(app, action);
  add_import_command(app, action);
  add_config_command(app, action);
  add_coordinator_command(app, action);
  add_farm_commands(app, action);
  add_keygen_command(app, action);
  add_mpi_command(app, action);
  add_worker_command(app, action);
  add_cache_command(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return report_parse_error(app, error, options, argc, argv);
  }
  if (!action) {
    fmt::print("{}", options.json ? about_json(app) + "\n" : app.help());
    return 0;
  }
  log::set_up("kiln", options.verbose ? log::Level::kDebug : log::Level::kWarning);
  std::signal(SIGPIPE, SIG_IGN);
  const Result<int> result = action(options);
  if (result) return *result;
  report_error(result.error(), options.json);
  return exit_code(result.error());
}

}  // namespace
}  // namespace kiln::cli

int main(int argc, char** argv) { return kiln::cli::run(argc, argv); }
