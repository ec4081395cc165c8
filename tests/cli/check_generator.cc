// What `kiln import diffusers` does with a package once Python has written it, for tests that have made one: one line
// and the exit code of the command.
#include <fmt/core.h>

#include "cli/import_command.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto manifest = kiln::cli::check_generator_package(argv[1]);
  if (!manifest) {
    fmt::print(stderr, "{}\n", manifest.error().message);
    return kiln::exit_code(manifest.error());
  }
  fmt::print("{} graphs, {} tensors\n", manifest->graphs.size(), manifest->tensors.size());
  return 0;
}
