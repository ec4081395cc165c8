// How a subcommand joins the program: a function that adds it to the parser and remembers what to run.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace kiln::cli {

// Flags that every command understands.
struct GlobalOptions {
  bool json = false;        // exactly one JSON value on stdout
  bool verbose = false;
  std::string config_file;  // --config
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();  // of the program
};

// What main() runs once the command line is parsed: the command's own work. An Error becomes one line on
// stderr (or {"error": …} with --json) and the exit code of base/error.h.
using Action = std::function<Result<int>(const GlobalOptions&)>;

// Each command file offers one such function; cli/main.cc lists them.
void add_import_command(CLI::App& app, Action& action);
void add_run_command(CLI::App& app, Action& action);
void add_config_command(CLI::App& app, Action& action);
void add_coordinator_command(CLI::App& app, Action& action);
void add_farm_commands(CLI::App& app, Action& action);
void add_mpi_command(CLI::App& app, Action& action);
void add_keygen_command(CLI::App& app, Action& action);
void add_cache_command(CLI::App& app, Action& action);
void add_worker_command(CLI::App& app, Action& action);

}  // namespace kiln::cli
