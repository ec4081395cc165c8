// `kiln keygen`: a key pair for a coordinator, worker or client.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file_system.h"
#include "cli/command.h"
#include "net/curve_keys.h"

namespace kiln::cli {

void add_keygen_command(CLI::App& app, Action& action) {
  auto path = std::make_shared<std::string>();
  CLI::App* keygen = app.add_subcommand("keygen", "Make a key pair; its public half goes into the coordinator's allow-list");
  keygen->add_option("file", *path, "Where the pair is written (mode 0600)")->required();
  keygen->footer("The allow-list has lines: KEY ROLE NAME, with the role worker, client or admin.");
  keygen->callback([&action, path] {
    action = [path](const GlobalOptions& global) -> Result<int> {
      KILN_TRY_ASSIGN(const net::CurveKeyPair keys, net::generate_curve_keys());
      KILN_TRY(net::save_curve_keys(posix_file_system(), *path, keys));
      if (global.json) {
        fmt::print("{}\n", nlohmann::json{{"file", *path}, {"public_key", keys.public_z85}}.dump());
      } else {
        fmt::print("{}\n", keys.public_z85);
      }
      return 0;
    };
  });
}

}  // namespace kiln::cli
