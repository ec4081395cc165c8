// A real `kiln coordinator` with its store, and bare connections to it: a client, and a worker that is the test itself.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "cli/farm/farm_link.h"
#include "net/dealer_socket.h"
#include "net/farm_codec.h"

namespace kiln::coordinator::test {

inline constexpr std::chrono::milliseconds kPatience{30'000};

// Killed with everything that it started when it goes.
class CoordinatorProcess {
 public:
  // `state` may be that of an earlier one. Returns when its doors are open or it has ended.
  CoordinatorProcess(std::string state, const std::string& config_text = {}, std::vector<std::string> flags = {});
  ~CoordinatorProcess();
  CoordinatorProcess(const CoordinatorProcess&) = delete;
  CoordinatorProcess& operator=(const CoordinatorProcess&) = delete;

  [[nodiscard]] bool up() const { return notice_.pid != 0; }
  [[nodiscard]] const cli::FarmNotice& notice() const { return notice_; }
  [[nodiscard]] std::string said() const;  // on stderr
  [[nodiscard]] int stop();                // by SIGTERM; its exit code
  void kill();                             // with -9, as a whole
  // What its HTTP door answers, head and body.
  [[nodiscard]] std::string http(const std::string& path) const;
  [[nodiscard]] std::unique_ptr<cli::FarmLink> client() const;

 private:
  std::string state_;
  ChildProcess process_;
  std::optional<ExitStatus> ended_;
  cli::FarmNotice notice_;
};

// The connection of a worker without lanes of its own: what it is told is what the test looks at.
class BareWorker {
 public:
  explicit BareWorker(const std::string& endpoint);
  void say(net::FromWorker message);
  // The next message of this kind; others are passed over.
  template <typename Message>
  Message wait_for() {
    for (;;) {
      std::optional<net::ToWorker> told = next();
      if (!told) return {};
      if (auto* found = std::get_if<Message>(&*told)) return std::move(*found);
    }
  }

 private:
  [[nodiscard]] std::optional<net::ToWorker> next();  // nothing: it is silent, and the test has failed
  net::ZmqContext context_;
  net::DealerSocket socket_;
};

[[nodiscard]] net::WorkerHello hello_of(const std::string& name, unsigned lanes);

}  // namespace kiln::coordinator::test
