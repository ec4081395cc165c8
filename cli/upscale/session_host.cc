#include "cli/upscale/session_host.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>

#include "base/log.h"
#include "cache_store/disk_store.h"
#include "cli/program_files.h"
#include "sharding/output_plan.h"
#include "worker/host_probe.h"

namespace kiln::cli {
namespace {

// Where LibTorch comes from when there is no interpreter: --torch, or as kiln-lane was linked.
void find_interpreter(const UpscaleOptions& options, SessionHost& host) {
  host.torch_folder = options.config.torch;
  auto python = find_python(options.config.python);
  if (!python) {
    host.no_compiling = python.error();
    return;
  }
  host.python = python->program;
  if (host.torch_folder.empty()) host.torch_folder = python->torch_folder;
  auto folder = python_folder();
  if (!folder) {
    host.no_compiling = folder.error();
    return;
  }
  host.python_folder = *folder;
}

Result<std::unique_ptr<worker::ArtifactBuilder>> open_builder(const UpscaleOptions& options, SessionHost& host) {
  worker::ArtifactBuilderOptions builder;
  worker::ToolchainFiles files;
  files.torch_folder = host.torch_folder;
  files.package_folder = host.python_folder;
  KILN_TRY_ASSIGN(builder.toolchain, worker::probe_toolchain(files));
  builder.target.isa = worker::host_isa_level();
  if (builder.target.isa == sharding::IsaLevel::kNone) {
    return fail(make_error(ErrorCode::kUnimplemented, "this CPU has no AVX2; frames are rendered uncompiled"));
  }
  builder.child.python = host.python;
  builder.child.package_folder = host.python_folder;
  builder.child.torch_folder = host.torch_folder;
  builder.child.work_folder = options.config.state_dir + "/compile";
  builder.child.torch_git = builder.toolchain.torch_git;
  builder.child.compile_deadline = std::chrono::seconds(options.config.compile_deadline_s);
  builder.child.memory_limit_bytes = worker::compile_memory_limit_bytes(
      worker::probe_resources(), static_cast<std::uint64_t>(options.config.compile_memory_mib) << 20U);
  builder.child.threads = options.config.compile_threads;
  if (builder.child.threads == 0) {
    builder.child.threads = sharding::plan_lane_threads(static_cast<int>(worker::probe_resources().cores),
                                                        options.config.lanes, options.config.threads_per_lane)
                                .threads;
  }
  return std::make_unique<worker::ArtifactBuilder>(std::move(builder), *host.store, *host.key);
}

// Where nothing can be made or opened, nothing can run; what has an exit code of its own keeps it.
Error state_error(Error error, const std::string& state) {
  const bool has_code = error.exit != ExitCode::kFromCode || error.code == ErrorCode::kAborted;
  if (!has_code) error.exit = ExitCode::kOutputUnwritable;
  error.message = fmt::format("state folder {}: {}{}", state, error.message,
                              has_code ? "" : "; choose another with --state");
  return error;
}

// The lock first: a second command must not make a second key.
Status open_state(FileSystem& files, const std::string& state, SessionHost& host) {
  KILN_TRY(make_directories(files, state, 0700));
  cache::DiskStoreOptions store;
  store.root = state + "/store";
  store.on_event = [](const cache::StoreEvent& event) {
    log::warn("store: {} {}: {}", event.what, event.name, event.detail);
  };
  KILN_TRY_ASSIGN(host.lock, files.lock(state + "/lock"));
  KILN_TRY_ASSIGN(auto key, cache::SigningKey::load_or_create(files, state + "/worker.key"));
  host.key = std::make_unique<cache::SigningKey>(std::move(key));
  store.trusted.trust(host.key->public_key());
  KILN_TRY_ASSIGN(host.store, cache::open_disk_store(files, std::move(store)));
  return {};
}

Result<UniqueFd> open_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  // Before any thread is started: each inherits it, and none is interrupted instead.
  if (::pthread_sigmask(SIG_BLOCK, &wanted, nullptr) != 0) return fail(errno_error(errno, "pthread_sigmask"));
  UniqueFd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail(errno_error(errno, "signalfd"));
  return fd;
}

}  // namespace

Result<SessionHost> open_session_host(FileSystem& files, const UpscaleOptions& options) {
  SessionHost host;
  host.files = &files;
  KILN_TRY_ASSIGN(host.signals, open_signals());
  const std::string& state = options.config.state_dir;
  if (auto status = open_state(files, state, host); !status) return fail(state_error(status.error(), state));
  KILN_TRY_ASSIGN(host.lane_program, lane_program());
  find_interpreter(options, host);
  if (options.config.device != "cpu" && !host.no_compiling) {
    host.no_compiling = make_error(ErrorCode::kUnimplemented, "artifacts are made for the CPU only; on {} the graph "
                                   "runs uncompiled", options.config.device);
  }
  if (options.config.executor == "uncompiled" || host.no_compiling) return host;
  auto builder = open_builder(options, host);
  if (builder) {
    host.builder = std::move(*builder);
  } else {
    host.no_compiling = builder.error();
    if (options.config.executor == "any") log::warn("{}", builder.error().message);
  }
  return host;
}

}  // namespace kiln::cli
