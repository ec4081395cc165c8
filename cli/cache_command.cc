// kiln cache serve: the store of a folder, for other processes and machines.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/log.h"
#include "cache_store/store_service.h"
#include "cli/command.h"
#include "cli/flag_checks.h"
#include "cli/version.h"

namespace kiln::cli {
namespace {

constexpr std::chrono::milliseconds kStopPatience{10'000};
constexpr timespec kLook{1, 0};  // between two looks at the trusted keys; SIGHUP makes one at once

struct ServeOptions {
  cache::StoreServiceOptions service;
  std::string listen = "127.0.0.1:7411";
  int ready_fd = -1;
  std::string port_file;
};

// Blocked before any thread starts, so that all of them are taken here and nowhere else.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

Status announce(const ServeOptions& options, const std::string& address, bool json) {
  const std::string line = address + "\n";
  if (!options.port_file.empty()) KILN_TRY(write_file_atomic(options.port_file, line));
  if (options.ready_fd >= 0) {
    UniqueFd ready(options.ready_fd);
    KILN_TRY(write_fully(ready.get(), std::as_bytes(std::span(line))));
  }
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"address", address}}.dump());
    std::fflush(stdout);
  }
  log::info("store {} serves on http://{}", options.service.root, address);
  return {};
}

// Who reads the port file says it, in the one line that he ends with.
Result<int> refuse(const ServeOptions& options, const Error& error) {
  if (options.port_file.empty()) return fail(error);
  KILN_TRY(write_file_atomic(options.port_file,
                             fmt::format("{}{} {}\n", cache::kStoreRefused, exit_code(error), error.message)));
  return exit_code(error);
}

Result<int> serve(ServeOptions options, const GlobalOptions& global) {
  if (!global.verbose) log::set_level(log::Level::kInfo);
  KILN_TRY_ASSIGN(options.service.listen, net::parse_host_port(options.listen));
  options.service.version = version_text();
  const sigset_t signals = block_signals();
  auto started = cache::StoreService::start(options.service);
  if (!started) return refuse(options, started.error());
  const auto service = std::move(*started);
  KILN_TRY(announce(options, service->bound().text(), global.json));
  for (int signal = 0; signal != SIGTERM && signal != SIGINT; signal = ::sigtimedwait(&signals, nullptr, &kLook)) {
    service->follow_trusted_keys();
  }
  log::info("stopping; another signal ends the program at once");
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  service->stop(kStopPatience);
  return 0;
}

}  // namespace

void add_cache_command(CLI::App& app, Action& action) {
  CLI::App* cache = app.add_subcommand("cache", "The store of artifacts and files");
  cache->require_subcommand(1);
  CLI::App* command = cache->add_subcommand("serve", "Serve a store over HTTP, in the foreground, until SIGTERM");
  const auto options = std::make_shared<ServeOptions>();
  command->add_option("--listen", options->listen, "HOST:PORT; port 0 is any free one")->capture_default_str();
  command->add_option("--root", options->service.root, "Folder of the store; made when missing")->required();
  takes_bytes(command->add_option("--budget", options->service.budget_bytes, "Bytes that it may hold: 20GiB"), Bytes::kSome);
  command->add_option("--url-key", options->service.url_key_file, "Key that signs URLs; made when missing");
  command->add_flag("--open", options->service.open, "No signed URLs: everybody on this machine may read and write");
  command->add_option("--trusted-keys", options->service.trusted_keys_file,
                      "Whose artifacts are taken: a coordinator's trusted-keys.txt; followed when it changes");
  command->add_option("--ready-fd", options->ready_fd, "Descriptor that gets HOST:PORT when requests are taken");
  command->add_option("--port-file", options->port_file, "File that gets HOST:PORT when requests are taken, or \"refused EXIT_CODE WHY\"");
  command->callback([&action, options] {
    action = [options](const GlobalOptions& global) { return serve(*options, global); };
  });
}

}  // namespace kiln::cli
