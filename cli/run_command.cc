#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace kiln::cli {

void add_run_command(CLI::App&, Action&) {}

}  // namespace kiln::cli
