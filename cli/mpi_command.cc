// `mpirun -n N kiln mpi`: the ranks introduce themselves over MPI, leave it, and become a farm for one job.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/flag_checks.h"
#include "cli/mpi/launch_job.h"
#include "cli/mpi/lead_rank.h"
#include "cli/mpi/mpi_library.h"
#include "cli/mpi/rank_host.h"
#include "worker/device_choice.h"
#include "worker/host_probe.h"

namespace kiln::cli {
namespace {

// Number of the descriptor that holds what MPI was needed for: set across exec, and by nobody else.
constexpr const char* kIntroducedVariable = "KILN_MPI_INTRODUCED";
constexpr const char* kLoopback = "127.0.0.1";
constexpr std::size_t kNoCardsCharsMax = 500;  // of the reason that a rank tells the others

// What rank 0 tells the others: where the coordinator will be, or that there is none.
struct Doors {
  bool open = false;
  std::string address;
  int port = 0;
  int store_port = 0;
};

Result<std::string> find_address(const MpiFlags& flags, const std::vector<Introduction>& ranks) {
  if (!flags.address.empty()) return flags.address;
  if (on_one_host(ranks)) return std::string(kLoopback);
  for (const Introduction& one : ranks) {
    if (one.node != ranks[0].node) return address_towards(one.host);
  }
  return std::string(kLoopback);
}

Result<Doors> find_doors(const MpiFlags& flags, const std::vector<Introduction>& ranks) {
  KILN_TRY(read_launch_job(flags));
  KILN_TRY(check_devices(ranks, plan_ranks(ranks, flags.wishes)));
  Doors doors;
  KILN_TRY_ASSIGN(doors.address, find_address(flags, ranks));
  KILN_TRY_ASSIGN(doors.port, free_port(doors.address));
  do {
    KILN_TRY_ASSIGN(doors.store_port, free_port(doors.address));
  } while (doors.store_port == doors.port);
  doors.open = true;
  return doors;
}

std::string encode(const Doors& doors) {
  return nlohmann::json{{"open", doors.open}, {"address", doors.address}, {"port", doors.port},
                        {"store_port", doors.store_port}}
      .dump();
}

Result<Doors> decode_doors(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return Doors{json.at("open"), json.at("address"), json.at("port"), json.at("store_port")};
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, "rank 0 cannot be understood: {}", error.what()));
  }
}

// What fits is looked at by the worker itself, which knows its torch.
Result<std::vector<SeenCard>> see_cards() {
  std::vector<std::string> said;
  KILN_TRY_ASSIGN(const worker::CardList found, worker::probe_cards({}, said));
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  KILN_TRY_ASSIGN(const auto cards, worker::visible_cards(
      found.cards, visible == nullptr ? std::nullopt : std::optional<std::string>(visible)));
  std::vector<SeenCard> out;
  for (const worker::Card& card : cards) out.push_back({static_cast<int>(out.size()), card.uuid});
  return out;
}

Introduction introduce(const KilnMpiPlace& place, const std::string& public_key, const RankWishes& wishes) {
  undo_default_binding();
  Introduction out{place.node, place.node_rank, host_name(), public_key, cpu_mask(),
                   static_cast<int>(worker::probe_resources().cores)};
  if (wishes.device != "cuda") return out;
  if (auto cards = see_cards()) {
    out.cards = std::move(*cards);
  } else {
    out.no_cards = cards.error().message.substr(0, kNoCardsCharsMax);
  }
  return out;
}

// Nothing: rank 0 found something wrong, and says what.
Result<std::optional<Launch>> exchange(const MpiSession& mpi, const MpiFlags& flags) {
  KILN_TRY_ASSIGN(const net::CurveKeyPair keys, net::generate_curve_keys());
  Launch launch;
  launch.rank = mpi.place().rank;
  launch.secret_key = keys.secret_z85;
  KILN_TRY_ASSIGN(const auto said, mpi.gather(encode(introduce(mpi.place(), keys.public_z85, flags.wishes))));
  for (const std::string& one : said) {
    KILN_TRY_ASSIGN(Introduction introduction, decode_introduction(one));
    launch.ranks.push_back(std::move(introduction));
  }
  Result<Doors> doors = Doors();
  if (launch.rank == 0) doors = find_doors(flags, launch.ranks);
  KILN_TRY_ASSIGN(const std::string told, mpi.broadcast(encode(doors ? *doors : Doors())));
  KILN_TRY(mpi.end());
  if (!doors) return fail(doors.error());
  KILN_TRY_ASSIGN(const Doors open, decode_doors(told));
  if (!open.open) return std::optional<Launch>();
  launch.address = open.address;
  launch.port = open.port;
  launch.store_port = open.store_port;
  return std::optional<Launch>(std::move(launch));
}

// The same command line once more, in a process that has never seen MPI.
Status become_rank(const Launch& launch) {
  KILN_TRY_ASSIGN(const UniqueFd packed, pack_launch(launch));
  KILN_TRY_ASSIGN(const std::string words, read_file("/proc/self/cmdline", 4U << 20U));
  std::vector<char*> argv;
  std::string storage = words;
  for (std::size_t at = 0; at < storage.size(); at = storage.find('\0', at) + 1) argv.push_back(&storage[at]);
  argv.push_back(nullptr);
  if (::fcntl(packed.get(), F_SETFD, 0) != 0) return fail(errno_error(errno, "fcntl"));
  ::setenv(kIntroducedVariable, std::to_string(packed.get()).c_str(), 1);
  std::error_code error;
  ::execv(std::filesystem::read_symlink("/proc/self/exe", error).c_str(), argv.data());  // by name: for `ps`
  return fail(errno_error(errno, "exec"));
}

Result<int> run_rank(int packed_fd, const MpiFlags& flags, const GlobalOptions& global) {
  const UniqueFd packed(packed_fd);
  KILN_TRY_ASSIGN(const Launch launch, unpack_launch(packed.get()));
  const std::vector<RankRole> roles = plan_ranks(launch.ranks, flags.wishes);
  if (launch.rank == 0) return run_lead_rank(launch, flags, global, roles);
  return run_worker_rank(launch, flags, global, roles[static_cast<std::size_t>(launch.rank)]);
}

Result<MpiFlags> finish_flags(MpiFlags flags, const GlobalOptions& global) {
  ConfigSources sources;
  sources.file = global.config_file;
  KILN_TRY_ASSIGN(const LoadedConfig loaded, load_config(sources));
  if (!global.verbose) log::set_level(log::level_from_name(loaded.config.log_level));
  if (flags.state.empty()) flags.state = loaded.config.state_dir + "/mpi";
  KILN_TRY_ASSIGN(const worker::DeviceWish wish, worker::parse_device(flags.wishes.device));
  if (wish.kind == worker::DeviceKind::kAuto || wish.cards.size() > 1) {
    return fail(bad_config("--device {}: every rank is a worker with one device: cpu, cuda:N, or cuda, where each worker "
                           "of a host takes another card", flags.wishes.device));
  }
  namespace fs = std::filesystem;
  std::error_code error;
  flags.state = fs::absolute(flags.state, error).string();
  if (!flags.scratch.empty()) flags.scratch = fs::absolute(flags.scratch, error).string();
  if (flags.output.empty()) flags.output = fs::absolute(flags.job_file, error).parent_path().string();
  return flags;
}

Result<int> run_mpi(const MpiFlags& given, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(const MpiFlags flags, finish_flags(given, global));
  if (const char* introduced = std::getenv(kIntroducedVariable); introduced != nullptr) {
    const int fd = std::atoi(introduced);
    ::unsetenv(kIntroducedVariable);
    return run_rank(fd, flags, global);
  }
  KILN_TRY_ASSIGN(const MpiSession mpi, MpiSession::begin());
  KILN_TRY_ASSIGN(const std::optional<Launch> launch, exchange(mpi, flags));
  if (!launch) return 0;  // rank 0's exit code is the launch's
  KILN_TRY(become_rank(*launch));
  return 0;
}

void add_options(CLI::App& command, MpiFlags& flags) {
  command.add_option("--job", flags.job_file, "Job file (docs/job-files.md)")->required();
  command.add_option("-o,--output", flags.output, "Where results go: a folder, or with one clip a file's name (default: "
                     "the folder of the job file)");
  command.add_flag("--overwrite", flags.overwrite, "Replace files that exist");
  command.add_option("--state", flags.state, "Folder of journal and store, on rank 0's host");
  command.add_option("--scratch", flags.scratch, "Folder on each host for what its workers fetch (default: below --state)");
  command.add_option("--lanes", flags.wishes.lanes, "Lanes of each worker")->check(CLI::Range(1, 1024));
  command.add_option("--threads-per-lane", flags.wishes.threads_per_lane, "Default: an equal share of the host's cores")
      ->check(CLI::Range(0, 4096));
  command.add_option("--device", flags.wishes.device, "cpu, cuda:N, or cuda: another card for each worker of a host");
  command.add_flag("--rank-0-works", flags.wishes.rank_0_works, "Rank 0 brings a worker as well");
  command.add_option("--address", flags.address, "Of rank 0's host, as the others reach it (default: found out)");
  command.add_option("--allow", flags.allow, "Allow-list of further keys: your own, to look at the job while it runs");
  takes_bytes(command.add_option("--store-budget", flags.store_budget, "Of the store, e.g. 200GiB"), Bytes::kSome);
  command.add_option("worker_flags", flags.worker_words, "After --: flags for every kiln worker");
}

}  // namespace

void add_mpi_command(CLI::App& app, Action& action) {
  auto flags = std::make_shared<MpiFlags>();
  CLI::App* command = app.add_subcommand("mpi", "Run one job on the ranks of mpirun or srun");
  add_options(*command, *flags);
  command->footer("Example:\n  mkdir -p results && mpirun -n 4 kiln mpi --job job.toml -o results\n"
                  "Rank 0 becomes the coordinator, every other rank a worker; rank 0 works too where its host has no other\n"
                  "rank. The workers of a host share its cores, or have those that their ranks are bound to. The ranks speak\n"
                  "MPI only to find each other. The exit code is the job's; the same command, repeated, goes on where it stopped.");
  command->callback([&action, flags] {
    action = [flags](const GlobalOptions& global) { return run_mpi(*flags, global); };
  });
}

}  // namespace kiln::cli
