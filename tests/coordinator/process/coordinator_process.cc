#include "tests/coordinator/process/coordinator_process.h"

#include <fmt/core.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file_system.h"
#include "net/http_client.h"

namespace kiln::coordinator::test {
namespace {

constexpr std::chrono::milliseconds kLook{5};

net::DealerSocket connect(net::ZmqContext& context, const std::string& endpoint) {
  auto socket = net::DealerSocket::connect(context, endpoint, {});
  EXPECT_TRUE(socket) << socket.error().message;
  const Status up = socket->wait_connected(kPatience);
  EXPECT_TRUE(up) << up.error().message;
  return std::move(*socket);
}

UniqueFd open_for_append(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "ae");
  const int fd = ::dup(::fileno(file));
  std::fclose(file);
  return UniqueFd(fd);
}

}  // namespace

CoordinatorProcess::CoordinatorProcess(std::string state, const std::string& config_text, std::vector<std::string> flags)
    : state_(std::move(state)) {
  std::filesystem::create_directories(state_);
  std::filesystem::remove(state_ + "/" + std::string(cli::kNoticeName));
  SpawnOptions spawn;
  spawn.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln", "coordinator", "--state", state_};
  spawn.argv.insert(spawn.argv.end(), flags.begin(), flags.end());
  const std::string config = state_ + "/test.toml";
  std::ofstream(config) << config_text;
  spawn.argv.insert(spawn.argv.end(), {"--config", config});
  const UniqueFd err = open_for_append(state_ + "/test.stderr");
  spawn.stderr_fd = err.get();
  auto process = ChildProcess::spawn(spawn);
  EXPECT_TRUE(process) << process.error().message;
  process_ = std::move(*process);
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    auto notice = cli::read_notice(state_);
    if (notice) {
      notice_ = std::move(*notice);
      return;
    }
    const auto ended = process_.wait_for(kLook);
    if (ended && *ended) ended_ = **ended;
    if (!ended || *ended) return;
  }
}

CoordinatorProcess::~CoordinatorProcess() { kill(); }

std::string CoordinatorProcess::said() const {
  std::stringstream text;
  text << std::ifstream(state_ + "/test.stderr").rdbuf();
  return text.str();
}

int CoordinatorProcess::stop() {
  if (ended_) return ended_->exit_code;
  process_.signal_group(SIGTERM);
  const auto ended = process_.wait_for(kPatience);
  if (ended && *ended) ended_ = **ended;
  EXPECT_TRUE(ended && *ended) << "it does not end";
  return ended && *ended ? (*ended)->exit_code : -1;
}

void CoordinatorProcess::kill() {
  if (process_.running()) process_.kill_and_wait();
}

std::string CoordinatorProcess::http(const std::string& path) const {
  net::HttpClientOptions options;
  const auto server = net::parse_host_port(notice_.http.substr(notice_.http.find("//") + 2));
  EXPECT_TRUE(server);
  options.server = *server;
  net::HttpClient client(options);
  const auto answer = client.send("GET", path, "");
  return answer ? answer->body : answer.error().message;
}

std::unique_ptr<cli::FarmLink> CoordinatorProcess::client() const {
  auto link = cli::FarmLink::open({notice_.endpoint, {}, {}, state_});
  EXPECT_TRUE(link) << link.error().message;
  return link ? std::move(*link) : nullptr;
}

BareWorker::BareWorker(const std::string& endpoint) : socket_(connect(context_, endpoint)) {}

void BareWorker::say(net::FromWorker message) {
  net::FarmMessage frame;
  frame.body = std::move(message);
  const Status sent = socket_.send(net::encode(frame));
  EXPECT_TRUE(sent) << sent.error().message;
}

std::optional<net::ToWorker> BareWorker::next() {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    if (const auto bytes = socket_.receive()) {
      auto message = net::decode_farm_message(*bytes);
      EXPECT_TRUE(message) << message.error().message;
      if (!message) return std::nullopt;
      if (auto* told = std::get_if<net::ToWorker>(&message->body)) return std::move(*told);
      continue;
    }
    (void)socket_.wait(kPatience);
  }
  ADD_FAILURE() << "the coordinator is silent";
  return std::nullopt;
}

net::WorkerHello hello_of(const std::string& name, unsigned lanes) {
  net::WorkerHello hello;
  hello.worker = name;
  hello.instance = name + "-1";
  hello.cores = static_cast<int>(lanes);
  for (unsigned i = 0; i < lanes; ++i) {
    net::LaneOffer offer;
    offer.lane.value = i;
    offer.budget_bytes = 1ULL << 30U;
    hello.lanes.push_back(offer);
  }
  return hello;
}

}  // namespace kiln::coordinator::test
