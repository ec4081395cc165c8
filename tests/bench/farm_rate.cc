// How many tasks a second a coordinator hands out and takes back, over real sockets and with its journal on: a worker whose
// lanes do nothing, and a job of tasks that do nothing.
//
//   kiln coordinator --state DIR &
//   build/release/bench/farm_rate ENDPOINT [TASKS=50000] [LANES=256] [PID of the coordinator]
//
// Prints JSON: tasks a second, and with a PID the coordinator's CPU seconds for each task.
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "net/dealer_socket.h"
#include "net/farm_codec.h"

namespace {

using namespace kiln;
using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPatience{30'000};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "farm_rate: {}\n", why);
  std::exit(1);
}

net::DealerSocket connect(net::ZmqContext& context, const std::string& endpoint) {
  auto socket = net::DealerSocket::connect(context, endpoint, {});
  if (!socket) give_up(socket.error().message);
  if (const Status up = socket->wait_connected(kPatience); !up) give_up(up.error().message);
  return std::move(*socket);
}

template <typename Body>
void send(net::DealerSocket& socket, Body body) {
  net::FarmMessage message;
  message.request = 1;
  message.body = std::move(body);
  if (const Status sent = socket.send(net::encode(message)); !sent) give_up(sent.error().message);
}

net::FarmMessage receive(net::DealerSocket& socket) {
  for (;;) {
    if (auto bytes = socket.receive()) {
      auto message = net::decode_farm_message(*bytes);
      if (!message) give_up(message.error().message);
      return std::move(*message);
    }
    if (!socket.wait(kPatience)) give_up("the coordinator is silent");
  }
}

// User and system time of a process, in seconds.
double cpu_seconds(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0.0;
  constexpr int kUserField = 11;  // behind the name
  std::size_t at = name_end + 2;
  for (int i = 0; i < kUserField; ++i) at = text.find(' ', at) + 1;
  char* end = nullptr;
  const double user = std::strtod(text.c_str() + at, &end);
  const double system = std::strtod(end, nullptr);
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void say_hello(net::DealerSocket& worker, unsigned lanes) {
  net::WorkerHello hello;
  hello.worker = fmt::format("rate-{}", ::getpid());
  hello.pool = "rate";  // other workers of that coordinator get none of it
  hello.instance = std::to_string(::getpid());
  for (unsigned i = 0; i < lanes; ++i) {
    net::LaneOffer offer;
    offer.lane.value = i;
    offer.budget_bytes = 1;
    hello.lanes.push_back(offer);
  }
  send(worker, net::FromWorker{std::move(hello)});
}

void submit(net::DealerSocket& client, std::int64_t tasks) {
  net::JobRequest request;
  request.job = fmt::format("rate-{}", ::getpid());
  request.kind = net::JobKind::kNoop;
  request.pool = "rate";
  request.noop_tasks = tasks;
  send(client, net::ClientRequest{net::Submit{std::move(request)}});
  const net::FarmMessage answer = receive(client);
  const auto* reply = std::get_if<net::ClientReply>(&answer.body);
  const auto* refused = reply == nullptr ? nullptr : std::get_if<net::Refused>(reply);
  if (refused != nullptr) give_up(refused->error.message);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) give_up("usage: farm_rate ENDPOINT [TASKS] [LANES] [PID]");
  const std::int64_t tasks = argc > 2 ? std::atoll(argv[2]) : 50'000;
  const auto lanes = static_cast<unsigned>(argc > 3 ? std::atoi(argv[3]) : 256);
  const std::string pid = argc > 4 ? argv[4] : "";
  net::ZmqContext context;
  net::DealerSocket worker = connect(context, argv[1]);
  net::DealerSocket client = connect(context, argv[1]);
  say_hello(worker, lanes);
  (void)receive(worker);  // welcome
  const double cpu_before = pid.empty() ? 0.0 : cpu_seconds(pid);
  const auto started = Clock::now();
  submit(client, tasks);
  std::int64_t taken = 0;
  while (taken < tasks) {
    const net::FarmMessage message = receive(worker);
    const auto* told = std::get_if<net::ToWorker>(&message.body);
    if (told == nullptr) continue;
    if (const auto* assign = std::get_if<net::Assign>(told)) {
      net::TaskDone done;
      done.task = assign->task;
      done.attempt = assign->attempt;
      done.result = net::NoopResult{};
      send(worker, net::FromWorker{std::move(done)});
    }
    taken += std::holds_alternative<net::ResultTaken>(*told) ? 1 : 0;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
  const double cpu = pid.empty() ? 0.0 : cpu_seconds(pid) - cpu_before;
  fmt::print("{{\"tasks\":{},\"lanes\":{},\"seconds\":{:.3f},\"tasks_per_second\":{:.0f},\"coordinator_cpu_ms_per_task\":{:.4f}}}\n",
             tasks, lanes, seconds, static_cast<double>(tasks) / seconds, cpu * 1000.0 / static_cast<double>(tasks));
  send(worker, net::FromWorker{net::Goodbye{}});
  return 0;
}
