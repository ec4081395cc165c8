// The program `kiln`: everything but LibTorch. Starts in milliseconds.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/version.h"

namespace kiln::cli {
namespace {

// Names of files may hold line breaks, and terminals obey other control characters.
void print_error(const Error& error, const GlobalOptions& options) {
  const std::string message = one_line(error.message);
  if (options.json) {
    const nlohmann::json body = {{"error",
                                  {{"code", to_string(error.code)},
                                   {"message", message},
                                   {"exit_code", exit_code(error)}}}};
    fmt::print("{}\n", body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  fmt::print(stderr, "kiln: {}\n", message);
}

// CLI11 has exit codes and a layout of its own; ours are one line and those in base/error.h.
int report_parse_error(const CLI::App& app, const CLI::ParseError& error, GlobalOptions options, int argc,
                       char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  // Parsing may have ended before it came to this one.
  options.json = std::any_of(argv + 1, argv + argc, [](std::string_view word) { return word == "--json"; });
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  print_error(make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage, "{}; --help shows what there is", message),
              options);
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
    fmt::print("{}", app.help());
    return 0;
  }
  log::set_up("kiln", options.verbose ? log::Level::kDebug : log::Level::kWarning);
  std::signal(SIGPIPE, SIG_IGN);
  const Result<int> result = action(options);
  if (result) return *result;
  print_error(result.error(), options);
  return exit_code(result.error());
}

}  // namespace
}  // namespace kiln::cli

int main(int argc, char** argv) { return kiln::cli::run(argc, argv); }
