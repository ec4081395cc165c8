#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace kiln::cli {

void add_config_command(CLI::App&, Action&) {}

}  // namespace kiln::cli
