#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace kiln::cli {

void add_import_command(CLI::App&, Action&) {}

}  // namespace kiln::cli
