#include "coordinator/store_child.h"

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "cache_store/store_service.h"

namespace kiln::coordinator {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kStartDeadline{20'000};
constexpr std::chrono::milliseconds kLook{10};
constexpr std::chrono::milliseconds kStopDeadline{5'000};
constexpr std::uint64_t kAddressBytesMax = 4096;  // or why it does not serve
constexpr std::uint64_t kTrustedKeysBytesMax = 4U << 20U;

// "refused EXIT_CODE WHY".
Error refusal(std::string_view text) {
  const std::string rest(trim(text.substr(cache::kStoreRefused.size())));
  const auto space = rest.find(' ');
  const int code = std::atoi(rest.c_str());
  return Error{ErrorCode::kUnavailable, "the cache store: " + (space == std::string::npos ? rest : rest.substr(space + 1)),
               static_cast<ExitCode>(code)};
}

}  // namespace

Result<StoreChild> StoreChild::start(const StoreChildOptions& options) {
  StoreChild child(options);
  KILN_TRY(child.spawn());
  return child;
}

Status StoreChild::spawn() {
  std::error_code ignored;
  std::filesystem::remove(options_.port_file, ignored);
  SpawnOptions spawn;
  spawn.argv = options_.command;
  for (const auto& [flag, value] : {std::pair<std::string, std::string>{"--root", options_.root},
                                    {"--listen", options_.listen},
                                    {"--url-key", options_.url_key_file},
                                    {"--trusted-keys", options_.trusted_keys_file},
                                    {"--port-file", options_.port_file},
                                    {"--budget", options_.budget}}) {
    if (value.empty()) continue;
    spawn.argv.push_back(flag);
    spawn.argv.push_back(value);
  }
  spawn.stderr_fd = STDERR_FILENO;
  KILN_TRY_ASSIGN(process_, ChildProcess::spawn(spawn));
  const auto until = Clock::now() + kStartDeadline;
  while (Clock::now() < until) {
    const auto text = read_file(options_.port_file, kAddressBytesMax);
    const bool refused = text && text->starts_with(cache::kStoreRefused);  // it is about to end
    if (!refused && text && text->ends_with('\n')) {
      options_.listen = std::string(trim(*text));  // a port of its own choice stays the same after a restart
      url_ = "http://" + options_.listen;
      return {};
    }
    KILN_TRY_ASSIGN(const auto ended, process_.wait_for(kLook));
    if (ended) {
      const auto last = read_file(options_.port_file, kAddressBytesMax);
      if (last && last->starts_with(cache::kStoreRefused)) return fail(refusal(*last));
      return fail(make_error(ErrorCode::kUnavailable, ExitCode::kTryAgain, "the cache store ended at once: {}",
                             ended->describe()));
    }
  }
  process_.kill_and_wait();
  return fail(make_error(ErrorCode::kDeadlineExceeded, ExitCode::kTimeout, "the cache store did not start within {} s",
                         kStartDeadline.count() / 1000));
}

Status StoreChild::keep_alive() {
  KILN_TRY_ASSIGN(const auto ended, process_.wait_for(std::chrono::milliseconds(0)));
  if (!ended) return {};
  log::warn("the cache store ended ({}) and is started again", ended->describe());
  return spawn();
}

void StoreChild::follow_trusted_keys() {
  auto text = read_file(options_.trusted_keys_file, kTrustedKeysBytesMax);
  if (!text || *text == trusted_keys_) return;
  trusted_keys_ = std::move(*text);
  process_.signal_group(SIGHUP);
}

void StoreChild::stop() {
  if (!process_.running()) return;
  process_.signal_group(SIGTERM);
  const auto ended = process_.wait_for(kStopDeadline);
  if (!ended || !*ended) process_.kill_and_wait();
}

}  // namespace kiln::coordinator
