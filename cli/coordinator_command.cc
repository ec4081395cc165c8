// `kiln coordinator`: takes jobs, cuts them into tasks, and gives each lane what it can hold and finish.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/file_system.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/farm/farm_link.h"
#include "cli/farm_rules.h"
#include "cli/flag_checks.h"
#include "cli/program_files.h"
#include "cli/version.h"
#include "coordinator/run_coordinator.h"

namespace kiln::cli {
namespace {

struct CoordinatorFlags {
  coordinator::CoordinatorOptions options;
  std::string state;
};

FarmNotice notice_of(const coordinator::CoordinatorDoors& doors) {
  return {doors.endpoint, doors.http, doors.store, static_cast<int>(::getpid())};
}

// Programs of the same user find the coordinator by its state folder. In one step, so that nobody reads half of it.
Status write_notice(const std::string& state_dir, const coordinator::CoordinatorDoors& doors) {
  FileSystem& files = posix_file_system();
  const std::string temporary = state_dir + "/" + random_temp_name();
  KILN_TRY_ASSIGN(auto file, files.create_exclusive(temporary, 0600));
  const std::string text = encode_notice(notice_of(doors));
  KILN_TRY(file->append(std::as_bytes(std::span(text))));
  KILN_TRY(file->close());
  return files.rename(temporary, state_dir + "/" + std::string(kNoticeName));
}

Result<int> run(const CoordinatorFlags& flags, const GlobalOptions& global) {
  coordinator::CoordinatorOptions options = flags.options;
  KILN_TRY(check_doors(options));
  ConfigSources sources;
  sources.file = global.config_file;
  if (!flags.state.empty()) sources.flags.push_back({"run.state", "--state", flags.state});
  KILN_TRY_ASSIGN(const LoadedConfig loaded, load_config(sources));
  if (!global.verbose) log::set_level(log::Level::kInfo);
  options.state_dir = loaded.config.state_dir;
  options.rules = farm_rules(loaded.config.farm);
  options.snapshot_facts = static_cast<std::uint64_t>(loaded.config.farm.snapshot_facts);
  if (options.store_listen.starts_with("0.0.0.0:") || options.store_listen.starts_with("[::]:")) {
    return fail(bad_config("--store-listen {}: workers and clients are told this address; name one of this machine that "
                           "they can reach", options.store_listen));
  }
  options.store_command = {program_folder() + "/kiln", "cache", "serve"};
  options.version = std::string(split(version_text(), '\n').front());
  bool noticed = false;  // else the notice is another one's, whose folder this is
  const Status status = coordinator::run_coordinator(options, [&](const coordinator::CoordinatorDoors& doors) -> Status {
    KILN_TRY(write_notice(options.state_dir, doors));
    noticed = true;
    if (global.json) {
      fmt::print("{}", encode_notice(notice_of(doors)));
      std::fflush(stdout);
    }
    log::info("coordinator at {}, store at {}, metrics at {}/metrics", doors.endpoint, doors.store, doors.http);
    return {};
  });
  if (noticed) (void)posix_file_system().remove_file(options.state_dir + "/" + std::string(kNoticeName));
  if (!status) return fail(status.error());
  return 0;
}

}  // namespace

void add_coordinator_command(CLI::App& app, Action& action) {
  auto flags = std::make_shared<CoordinatorFlags>();
  coordinator::CoordinatorOptions& options = flags->options;
  CLI::App* command = app.add_subcommand("coordinator", "Run a farm: take jobs and give work to workers");
  command->add_option("--listen", options.listen, "For workers and clients, tcp://HOST:PORT (default: this machine only, a free port)");
  command->add_option("--http", options.http_listen, "For /metrics, /healthz and /readyz, HOST:PORT");
  command->add_option("--state", flags->state, "Folder of journal and store");
  command->add_option("--key", options.key_file, "Its key pair (kiln keygen); needed off this machine");
  command->add_option("--allow", options.allow_file, "Allow-list: whose keys may come in; read again on SIGHUP");
  command->add_option("--store", options.store_url, "A store that runs already, http://HOST:PORT (default: one is started)");
  command->add_option("--store-listen", options.store_listen, "HOST:PORT of the store that is started, as others reach it");
  takes_bytes(command->add_option("--store-budget", options.store_budget, "Its budget, as of kiln cache serve"), Bytes::kSome);
  command->add_option("--url-key", options.url_key_file, "Secret shared with a store that runs already");
  command->footer("Example:\n  kiln keygen coordinator.key\n"
                  "  kiln coordinator --listen tcp://0.0.0.0:7710 --store-listen 192.168.1.10:7711 --key coordinator.key --allow allow.txt");
  command->callback([&action, flags] {
    action = [flags](const GlobalOptions& global) { return run(*flags, global); };
  });
}

}  // namespace kiln::cli
