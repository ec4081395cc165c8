#include "cli/upscale/local_farm.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/units.h"
#include "cli/program_files.h"

namespace kiln::cli {
namespace {

constexpr std::string_view kSocketName = "farm.socket";
constexpr std::size_t kShortDigits = 12;
constexpr std::uint64_t kStoreBytesLeast = 20_GiB;
constexpr std::uint64_t kWorkerCacheBytes = 1_GiB;  // the store is on the same disk: fetching is copying
constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kErrorMark = "kiln: ";
constexpr std::streamoff kLogTailBytes = 65'536;

// What a child that ended said last: its error, which is one line. Empty when it said none.
std::string last_error(const std::string& log) {
  std::ifstream file(log, std::ios::ate);
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kLogTailBytes));
  std::string found;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kErrorMark)) found = line.substr(kErrorMark.size());
  }
  return found;
}

// For a state folder whose path is longer than a socket's may be: one of this user, the same for each command with that
// state.
Result<std::string> short_folder(const std::string& state) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  Sha256 hash;
  hash.update(state);
  const std::string folder = fmt::format("{}/kiln-{}-{}", runtime != nullptr && *runtime == '/' ? runtime : "/tmp",
                                         ::getuid(), hash.finish().hex().substr(0, kShortDigits));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error(errno, folder));
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0) return fail(errno_error(errno, folder));
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::getuid() || (info.st_mode & 077) != 0) {
    return fail(bad_config("{}: belongs to somebody else; choose a shorter folder than {} with --state", folder, state));
  }
  return folder;
}

// Segments and results of a job must fit into it; what is left of earlier ones goes when room is needed.
std::uint64_t store_budget_bytes(const std::string& state) {
  std::error_code error;
  const auto space = std::filesystem::space(state, error);
  return error ? kStoreBytesLeast : std::max<std::uint64_t>(kStoreBytesLeast, space.available / 2);
}

// Settings of this command are the children's, wherever they came from.
Status write_config(const Config& config, const std::string& path) {
  LoadedConfig loaded;
  loaded.config = config;
  return write_file_atomic(path, dump_config(loaded), 0600);
}

std::vector<std::string> variables_of_settings() {
  std::vector<std::string> names = {"KILN_COORDINATOR", "KILN_COORDINATOR_KEY", "KILN_KEY"};  // of another farm
  for (const Setting& setting : settings()) names.emplace_back(setting.variable);
  return names;
}

}  // namespace

LocalFarm::LocalFarm(const UpscaleOptions& options) : options_(options) {
  coordinator_.name = "coordinator";
  worker_.name = "worker";
}

LocalFarm::~LocalFarm() { stop(); }

std::string LocalFarm::config_path() const { return options_.config.state_dir + "/run.toml"; }

std::string LocalFarm::log_path(const std::string& child) const {
  return options_.config.state_dir + "/" + child + ".log";
}

// A socket below the state folder, which is nobody else's to enter.
Status LocalFarm::choose_endpoint() {
  std::error_code error;
  std::string folder = std::filesystem::absolute(options_.config.state_dir, error).lexically_normal().string();
  if (folder.size() + 1 + kSocketName.size() >= sizeof(sockaddr_un::sun_path)) {
    KILN_TRY_ASSIGN(folder, short_folder(folder));
    short_folder_ = folder;
  }
  endpoint_ = fmt::format("{}{}/{}", kIpc, folder, kSocketName);
  return {};
}

std::vector<std::string> LocalFarm::worker_command(int threads_per_lane) const {
  const Config& config = options_.config;
  std::vector<std::string> argv = {program_folder() + "/kiln", "worker", "--coordinator", endpoint_, "--name", "local",
                                   "--state", config.state_dir + "/worker", "--threads-per-lane",
                                   std::to_string(threads_per_lane), "--cache-size",
                                   std::to_string(kWorkerCacheBytes), "--config", config_path()};
  if (options_.verbose) argv.emplace_back("--verbose");
  return argv;
}

Status LocalFarm::start() {
  KILN_TRY(choose_endpoint());
  KILN_TRY(write_config(options_.config, config_path()));
  std::vector<std::string> coordinator = {
      program_folder() + "/kiln", "coordinator", "--state", options_.config.state_dir, "--listen", endpoint_,
      "--store-budget", std::to_string(store_budget_bytes(options_.config.state_dir)), "--config", config_path()};
  if (options_.verbose) coordinator.emplace_back("--verbose");
  KILN_TRY(spawn(coordinator_, std::move(coordinator)));
  return spawn(worker_, worker_command(options_.config.threads_per_lane));
}

Status LocalFarm::spawn(Child& child, std::vector<std::string> argv) {
  const std::string path = log_path(child.name);
  if (!child.log.valid()) {
    child.log.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_TRUNC, 0600));
    if (!child.log.valid()) return fail(errno_error(errno, path));
  }
  SpawnOptions spawn;
  spawn.argv = std::move(argv);
  spawn.stderr_fd = options_.verbose ? STDERR_FILENO : child.log.get();
  spawn.unset_env = variables_of_settings();
  child.process.emplace("the " + child.name, std::move(spawn));
  return child.process->start();
}

Status LocalFarm::look() {
  KILN_TRY(look_at(coordinator_));
  return look_at(worker_);
}

Status LocalFarm::look_at(Child& child) {
  pollfd ended{child.process->fd(), POLLIN, 0};
  if (::poll(&ended, 1, 0) <= 0) return {};
  KILN_TRY_ASSIGN(const std::optional<int> code, child.process->on_end());
  if (!code) return {};
  const std::string said = last_error(log_path(child.name));  // it would say the same again
  if (*code != 0 && !said.empty()) return fail(Error{ErrorCode::kFailedPrecondition, said, static_cast<ExitCode>(*code)});
  return fail(make_error(ErrorCode::kInternal, "the {} ended with exit code {}; see {}", child.name, *code,
                         log_path(child.name)));
}

Status LocalFarm::restart_worker(int threads_per_lane) {
  stop_worker();
  return spawn(worker_, worker_command(threads_per_lane));
}

// The first signal lets a worker finish what it renders, the second does not (two of one kind may arrive as one). What
// is done is in the store.
void LocalFarm::stop_worker() {
  if (worker_.process) worker_.process->stop(kStopPatience, {SIGTERM, SIGINT});
}

void LocalFarm::stop() {
  stop_worker();
  if (coordinator_.process) coordinator_.process->stop(kStopPatience);
  if (!endpoint_.empty()) ::unlink(endpoint_.c_str() + kIpc.size());
  if (!short_folder_.empty()) ::rmdir(short_folder_.c_str());
}

}  // namespace kiln::cli
