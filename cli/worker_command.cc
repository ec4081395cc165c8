// `kiln worker`: this machine's lanes, in the service of a coordinator.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/signal_fd.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/config.h"
#include "cli/farm_rules.h"
#include "cli/flag_checks.h"
#include "cli/program_files.h"
#include "worker/card_calibration.h"
#include "worker/card_encoders.h"
#include "worker/card_rooms.h"
#include "worker/device_choice.h"
#include "worker/farm_worker.h"
#include "worker/worker_identity.h"

namespace kiln::cli {
namespace {

constexpr std::uint64_t kCacheBytesDefault = 16_GiB;
constexpr std::uint64_t kKeyTextBytesMax = 4_KiB;

struct SettingFlag {
  const char* flag;
  const char* setting;
  std::string value{};
};

struct WorkerFlags {
  std::string coordinator;
  std::string key_file;
  std::string coordinator_key;  // Z85, or a file that holds it
  std::string state;
  std::string name;
  std::string pool;
  std::string http;
  std::uint64_t memory_cap_bytes = 0;
  std::uint64_t vram_cap_bytes = 0;
  std::uint64_t cache_bytes = 0;
  int away_max_s = 0;
  std::vector<SettingFlag> settings = {{"--lanes", "run.lanes"},
                                       {"--threads-per-lane", "run.threads_per_lane"},
                                       {"--device", "run.device"},
                                       {"--python", "programs.python"},
                                       {"--ffmpeg", "programs.ffmpeg"},
                                       {"--torch", "programs.torch"}};
};

Result<Config> read_config(const WorkerFlags& flags, const GlobalOptions& global) {
  ConfigSources sources;
  sources.file = global.config_file;
  for (const SettingFlag& flag : flags.settings) {
    if (!flag.value.empty()) sources.flags.push_back({flag.setting, flag.flag, flag.value});
  }
  if (!flags.state.empty()) sources.flags.push_back({"run.state", "--state", flags.state});
  KILN_TRY_ASSIGN(LoadedConfig loaded, load_config(sources));
  if (!global.verbose) log::set_level(log::level_from_name(loaded.config.log_level));
  if (flags.state.empty()) loaded.config.state_dir += "/worker";  // a coordinator of this machine has the folder itself
  return loaded.config;
}

Result<net::SocketSecurity> read_security(const WorkerFlags& flags) {
  net::SocketSecurity security;
  if (flags.key_file.empty() && flags.coordinator_key.empty()) return security;
  if (flags.key_file.empty() || flags.coordinator_key.empty()) {
    return fail(bad_config("--key and --coordinator-key belong together: our key pair, and whom to trust"));
  }
  KILN_TRY_ASSIGN(security.own, net::load_curve_keys(posix_file_system(), flags.key_file));
  security.server_public_z85 = flags.coordinator_key;
  if (net::is_z85_key(flags.coordinator_key)) return security;
  auto text = read_file(flags.coordinator_key, kKeyTextBytesMax);
  if (text) security.server_public_z85 = trim(*text);
  if (!text || !net::is_z85_key(security.server_public_z85)) {
    return fail(bad_config("--coordinator-key: '{}' is neither a public key nor a file with one", flags.coordinator_key));
  }
  return security;
}

// Where compiling is not possible, lanes run graphs as they are.
struct Toolchains {
  std::optional<PythonInterpreter> python;
  std::string torch_folder;
  std::optional<worker::ArtifactBuilderOptions> compiles;
};

Result<worker::ArtifactBuilderOptions> compile_options(const Config& config, const PythonInterpreter& python,
                                                       const std::string& torch_folder, bool for_cards) {
  worker::ArtifactBuilderOptions out;
  KILN_TRY_ASSIGN(out.child.package_folder, python_folder());
  KILN_TRY_ASSIGN(out.toolchain, worker::probe_toolchain({.torch_folder = torch_folder,
                                                          .package_folder = out.child.package_folder,
                                                          .for_cards = for_cards}));
  out.target.isa = worker::host_isa_level();
  if (out.target.isa == sharding::IsaLevel::kNone) {
    return fail(make_error(ErrorCode::kUnimplemented, "this CPU has no AVX2"));
  }
  out.child.python = python.program;
  out.child.torch_folder = torch_folder;
  out.child.work_folder = config.state_dir + "/compile";
  out.child.compile_deadline = std::chrono::seconds(config.compile_deadline_s);
  const worker::HostResources host = worker::probe_resources();
  out.child.memory_limit_bytes =
      worker::compile_memory_limit_bytes(host, static_cast<std::uint64_t>(config.compile_memory_mib) << 20U);
  out.child.threads = config.compile_threads > 0 ? config.compile_threads : std::max(1, config.threads_per_lane);
  return out;
}

Toolchains find_torch(const Config& config) {
  Toolchains out;
  out.torch_folder = config.torch;
  auto python = find_python(config.python);
  if (!python) {
    log::warn("nothing is compiled here: {}", python.error().message);
    return out;
  }
  if (out.torch_folder.empty()) out.torch_folder = python->torch_folder;
  out.python = std::move(*python);
  return out;
}

// For the CPU, or for each card on that card.
void find_compiler(const Config& config, const worker::WorkerCapability& capability, Toolchains& toolchains) {
  if (!toolchains.python) return;
  auto compiles = compile_options(config, *toolchains.python, toolchains.torch_folder, !capability.cards.empty());
  if (compiles) {
    toolchains.compiles = std::move(*compiles);
  } else {
    log::warn("nothing is compiled here: {}", compiles.error().message);
  }
}

// The cards that the lanes run on, into `out`; none: lanes run on the CPU.
Status find_cards(const Config& config, const std::string& torch_folder, worker::WorkerCapability& out) {
  KILN_TRY_ASSIGN(const worker::DeviceWish wish, worker::parse_device(config.device));
  if (wish.kind == worker::DeviceKind::kCpu) return {};
  if (worker::wants_cards(wish) && config.lanes > 1) {
    return fail(bad_config("--lanes {} with device {}: a card has one lane", config.lanes, config.device));
  }
  std::vector<std::string> said;
  const auto found = worker::probe_cards({}, said);
  worker::TorchCuda torch;
  if (const auto cuda = worker::torch_cuda(torch_folder)) torch = worker::parse_cuda_version(*cuda);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  auto choice = worker::choose_cards(wish, found, visible == nullptr ? std::nullopt : std::optional<std::string>(visible), torch);
  if (!choice) {
    const bool is_named = choice.error().code == ErrorCode::kNotFound && wish.kind == worker::DeviceKind::kNamedCards;
    return fail(is_named ? choice.error() : choice.error().with_context(fmt::format("device {}", config.device)));
  }
  said.insert(said.end(), choice->said.begin(), choice->said.end());
  for (const std::string& line : said) log::warn("{}", line);
  if (choice->cards.empty()) return {};
  out.driver = found->driver;
  out.driver_cuda = found->cuda;
  out.cards = std::move(choice->cards);
  return {};
}

void calibrate(const Config& config, const std::string& torch_folder, worker::WorkerCapability& capability) {
  const auto lane = lane_program();
  if (!lane || capability.cards.empty()) return;
  std::vector<std::string> said;
  worker::calibrate_cards({*lane, torch_folder, config.state_dir + "/cards", capability.driver, worker::torch_build(torch_folder)},
                          capability.cards, said);
  worker::find_encoders({*lane, torch_folder, config.ffmpeg, config.state_dir + "/cards", capability.driver}, capability.cards, said);
  for (const std::string& line : said) log::warn("{}", line);
}

void say_cards(const worker::WorkerCapability& capability) {
  for (std::size_t i = 0; i < capability.cards.size(); ++i) {
    const worker::Card& card = capability.cards[i];
    log::info("lane {}: {}", i, worker::describe(card));
    if (worker::card_budget_bytes(card, capability.vram_cap_bytes) > 0) continue;
    log::warn("lane {}: card {} has no room: {} of {} are free; other programs hold the rest", i, card.index,
              format_bytes(card.free_bytes), format_bytes(card.memory_bytes));
  }
}

std::uint64_t cache_budget(const WorkerFlags& flags, const std::string& state) {
  if (flags.cache_bytes > 0) return flags.cache_bytes;
  std::error_code error;
  const auto space = std::filesystem::space(state, error);
  return error ? kCacheBytesDefault : std::min<std::uint64_t>(kCacheBytesDefault, space.available / 2);
}

Result<worker::WorkerCapability> find_capability(const WorkerFlags& flags, const Config& config,
                                                 Toolchains& toolchains) {
  worker::WorkerCapability out;
  out.name = flags.name.empty() ? worker::default_worker_name() : flags.name;
  if (!worker::is_worker_name(out.name)) {
    return fail(bad_config("--name: '{}' is none; 1 to 64 letters, digits, '.', '_' and '-' are", out.name));
  }
  out.pool = flags.pool;
  out.lanes = config.lanes;
  out.threads_per_lane = config.threads_per_lane;
  out.host = worker::probe_resources();
  out.cores_name = worker::probe_cores_name(worker::allowed_cores());
  out.isa = worker::host_isa_level();
  out.memory_cap_bytes = flags.memory_cap_bytes;
  if (out.memory_cap_bytes == 0) out.memory_cap_bytes = static_cast<std::uint64_t>(config.activation_mib) << 20U;
  out.vram_cap_bytes = flags.vram_cap_bytes;
  if (out.vram_cap_bytes == 0) out.vram_cap_bytes = static_cast<std::uint64_t>(config.vram_cap_mib) << 20U;
  KILN_TRY(find_cards(config, toolchains.torch_folder, out));
  calibrate(config, toolchains.torch_folder, out);
  say_cards(out);
  find_compiler(config, out, toolchains);
  if (toolchains.compiles) out.toolchain = toolchains.compiles->toolchain;
  return out;
}

Result<int> run_worker(const WorkerFlags& flags, const GlobalOptions& global) {
  KILN_TRY_ASSIGN(const UniqueFd signals, open_signal_fd({SIGINT, SIGTERM}));
  KILN_TRY_ASSIGN(const Config config, read_config(flags, global));
  FileSystem& files = posix_file_system();
  worker::FarmWorkerOptions options;
  KILN_TRY_ASSIGN(options.security, read_security(flags));
  if (auto made = make_directories(files, config.state_dir, 0700); !made) {
    return fail(output_unwritable("state folder {}: {}; choose another with --state", config.state_dir,
                                  made.error().message));
  }
  auto lock = files.lock(config.state_dir + "/lock");
  if (!lock) return fail(lock.error().with_context(fmt::format("state folder {}", config.state_dir)));
  KILN_TRY_ASSIGN(const auto key, cache::SigningKey::load_or_create(files, config.state_dir + "/worker.key"));
  KILN_TRY_ASSIGN(options.lane.program, lane_program());
  Toolchains toolchains = find_torch(config);
  KILN_TRY_ASSIGN(const worker::WorkerCapability capability, find_capability(flags, config, toolchains));
  options.coordinator = flags.coordinator;
  options.state = config.state_dir;
  options.identity = worker::worker_hello(capability);
  options.lane.torch_folder = toolchains.torch_folder;
  options.lane.verbose = global.verbose;
  options.places = worker::lane_places(capability);
  options.ffmpeg = config.ffmpeg;
  options.http_listen = flags.http;
  options.cache_bytes = cache_budget(flags, config.state_dir);
  options.rooms = worker::card_rooms(capability);
  if (toolchains.compiles) {
    options.identity.compiles_at_once = worker::compiles_at_once(capability, toolchains.compiles->child.memory_limit_bytes);
  }
  options.compiles = std::move(toolchains.compiles);
  options.away_max = std::chrono::seconds(flags.away_max_s);
  options.rules = worker_rules(config);
  KILN_TRY_ASSIGN(const auto farm_worker, worker::FarmWorker::open(std::move(options), key, signals.get()));
  KILN_TRY(farm_worker->run());
  return 0;
}

void add_options(CLI::App& command, WorkerFlags& flags) {
  command.add_option("--coordinator", flags.coordinator, "Its address, tcp://HOST:PORT")
      ->envname("KILN_COORDINATOR")->required();
  command.add_option("--key", flags.key_file, "Our key pair (kiln keygen)")->envname("KILN_KEY");
  command.add_option("--coordinator-key", flags.coordinator_key, "The coordinator's public key, or a file with it")
      ->envname("KILN_COORDINATOR_KEY");
  command.add_option("--state", flags.state, "Folder of the signing key, fetched files and logs");
  command.add_option("--name", flags.name, "In lists and messages (default: the host's)");
  command.add_option("--pool", flags.pool, "Jobs may ask for a pool of workers");
  command.add_option("--http", flags.http, "For /metrics, /healthz and /readyz, HOST:PORT (default: none)");
  takes_bytes(command.add_option("--memory-cap", flags.memory_cap_bytes, "Memory for activations of a CPU lane, e.g. 2GiB"),
              Bytes::kAny);
  takes_bytes(command.add_option("--vram-cap", flags.vram_cap_bytes,
                                 "Of its card's memory, what a lane and its compile child may hold"), Bytes::kAny);
  command.add_option("--away-max", flags.away_max_s, "Seconds without a coordinator after which it ends (default: never)")
      ->check(CLI::NonNegativeNumber);
  takes_bytes(command.add_option("--cache-size", flags.cache_bytes, "Disk space for fetched files (default: 16GiB, at most "
                                 "half of what is free)"), Bytes::kAny);
  for (SettingFlag& flag : flags.settings) {
    const auto known = settings();
    const auto setting = std::find_if(known.begin(), known.end(), [&](const Setting& s) { return s.name == flag.setting; });
    command.add_option(flag.flag, flag.value, setting == known.end() ? "" : std::string(setting->description));
  }
}

}  // namespace

void add_worker_command(CLI::App& app, Action& action) {
  auto flags = std::make_shared<WorkerFlags>();
  CLI::App* command = app.add_subcommand("worker", "Render for a coordinator, until told to stop");
  add_options(*command, *flags);
  command->footer("SIGTERM finishes what is being rendered and ends; a second one ends at once.");
  command->callback([&action, flags] {
    action = [flags](const GlobalOptions& global) { return run_worker(*flags, global); };
  });
}

}  // namespace kiln::cli
