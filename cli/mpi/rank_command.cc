#include "cli/mpi/rank_command.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/sealed_file.h"
#include "base/signal_fd.h"
#include "cli/kept_process.h"
#include "cli/program_files.h"

namespace kiln::cli {
namespace {

constexpr int kKeyDescriptor = 10;  // in the child
// A worker whose coordinator does not come back for so long has been forgotten by its launch.
constexpr int kAwayMaxS = 60;

std::vector<std::string> program_words(const GlobalOptions& global) {
  std::vector<std::string> words = {program_folder() + "/kiln"};
  if (global.verbose) words.emplace_back("--verbose");
  if (!global.config_file.empty()) words.insert(words.end(), {"--config", global.config_file});
  return words;
}

SpawnOptions keyed_child(std::vector<std::string> words, int keys) {
  SpawnOptions spawn;
  words.insert(words.end(), {"--key", fmt::format("fd:{}", kKeyDescriptor)});
  spawn.argv = std::move(words);
  spawn.inherit = {{keys, kKeyDescriptor}};
  spawn.stderr_fd = STDERR_FILENO;
  return spawn;
}

std::string scratch_of(const MpiFlags& flags) {
  return flags.scratch.empty() ? flags.state + "/workers" : flags.scratch;
}

// The coordinator may have ended before it could say goodbye to us; its own rank tells how the job went.
int rank_code(int worker_code) { return worker_code == static_cast<int>(ExitCode::kUnreachable) ? 0 : worker_code; }

}  // namespace

Result<UniqueFd> pack_launch(const Launch& launch) {
  nlohmann::json ranks = nlohmann::json::array();
  for (const Introduction& one : launch.ranks) ranks.push_back(encode(one));
  const std::string text = nlohmann::json{{"rank", launch.rank},       {"ranks", ranks},
                                          {"address", launch.address}, {"port", launch.port},
                                          {"store_port", launch.store_port}, {"secret_key", launch.secret_key}}
                               .dump();
  return make_sealed("kiln-launch", std::as_bytes(std::span(text)));
}

Result<Launch> unpack_launch(int fd) {
  KILN_TRY(require_sealed(fd));
  KILN_TRY_ASSIGN(const Mapping packed, Mapping::map(fd));
  try {
    const auto json = nlohmann::json::parse(packed.text());
    Launch launch;
    launch.rank = json.at("rank");
    for (const std::string one : json.at("ranks")) {
      KILN_TRY_ASSIGN(Introduction introduction, decode_introduction(one));
      launch.ranks.push_back(std::move(introduction));
    }
    launch.address = json.at("address");
    launch.port = json.at("port");
    launch.store_port = json.at("store_port");
    launch.secret_key = json.at("secret_key");
    return launch;
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kInternal, "what MPI left behind cannot be read: {}", error.what()));
  }
}

Result<UniqueFd> pack_keys(const net::CurveKeyPair& keys) {
  const std::string text = net::curve_key_text(keys);
  return make_sealed("kiln-key", std::as_bytes(std::span(text)));
}

SpawnOptions worker_command(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global,
                            const RankRole& role, int keys) {
  std::vector<std::string> words = program_words(global);
  words.insert(words.end(), {"worker", "--coordinator", launch.endpoint(), "--coordinator-key", launch.coordinator_key(),
                             "--name", role.worker, "--state", scratch_of(flags) + "/" + role.folder,
                             "--lanes", std::to_string(flags.wishes.lanes),
                             "--threads-per-lane", std::to_string(role.threads_per_lane), "--device", role.device,
                             "--away-max", std::to_string(kAwayMaxS)});
  words.insert(words.end(), flags.worker_words.begin(), flags.worker_words.end());
  return keyed_child(std::move(words), keys);
}

SpawnOptions coordinator_command(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global, int keys) {
  std::vector<std::string> words = program_words(global);
  words.insert(words.end(), {"coordinator", "--state", flags.state, "--listen", launch.endpoint(), "--store-listen",
                             launch.store_listen(), "--allow", flags.state + "/allow.txt"});
  if (!flags.store_budget.empty()) words.insert(words.end(), {"--store-budget", flags.store_budget});
  return keyed_child(std::move(words), keys);
}

Result<int> run_worker_rank(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global,
                            const RankRole& role) {
  KILN_TRY_ASSIGN(const UniqueFd signals, open_signal_fd({SIGTERM, SIGINT}));
  KILN_TRY_ASSIGN(const UniqueFd keys, pack_keys(launch.own_keys()));
  KeptProcess worker("the worker " + role.worker, worker_command(launch, flags, global, role, keys.get()));
  KILN_TRY(worker.start());
  const pid_t launcher = ::getppid();
  for (;;) {
    pollfd polls[] = {{signals.get(), POLLIN, 0}, {worker.fd(), POLLIN, 0}};
    if (::poll(polls, 2, kLauncherLookMs) < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
    const int signal = ::getppid() == launcher ? take_signal(signals.get()) : SIGTERM;
    if (signal != 0) {
      worker.kill();  // its tasks would find no coordinator: the whole launch is being ended
      return 128 + signal;
    }
    if (polls[1].revents == 0) continue;
    KILN_TRY_ASSIGN(const std::optional<int> ended, worker.on_end());
    if (ended) return rank_code(*ended);
  }
}

}  // namespace kiln::cli
