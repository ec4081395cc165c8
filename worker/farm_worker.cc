#include "worker/farm_worker.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "net/farm_codec.h"
#include "worker/farm_worker_impl.h"
#include "worker/host_probe.h"

namespace kiln::worker {
namespace {

// Folders below the state folder. What is in `work` is of tasks that are lost with their process.
Status make_folders(const std::string& state) {
  std::error_code error;
  std::filesystem::remove_all(state + "/work", error);
  for (const char* name : {"/work", "/logs", "/ffmpeg"}) KILN_TRY(make_directories(posix_file_system(), state + name, 0700));
  return {};
}

}  // namespace

FarmWorker::FarmWorker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FarmWorker::~FarmWorker() = default;
Status FarmWorker::run() { return impl_->run(); }

Result<std::unique_ptr<FarmWorker>> FarmWorker::open(FarmWorkerOptions options, const cache::SigningKey& signing_key,
                                                     int signals) {
  KILN_TRY(make_folders(options.state));
  KILN_TRY_ASSIGN(auto blobs, BlobCache::open(options.state + "/blobs", options.cache_bytes));
  auto context = std::make_unique<net::ZmqContext>();
  KILN_TRY_ASSIGN(auto socket, net::DealerSocket::connect(*context, options.coordinator, options.security));
  std::unique_ptr<WorkerDoor> door;
  if (!options.http_listen.empty()) {
    KILN_TRY_ASSIGN(door, WorkerDoor::open(options.http_listen));
    log::info("metrics at http://{}/metrics", door->address());
  }
  auto impl = std::make_unique<Impl>(std::move(options), signing_key, signals, std::move(blobs), std::move(socket),
                                     std::move(context));
  impl->door_ = std::move(door);
  return std::unique_ptr<FarmWorker>(new FarmWorker(std::move(impl)));
}

FarmWorker::Impl::Impl(FarmWorkerOptions worker_options, const cache::SigningKey& key, int signal_fd,
                       std::unique_ptr<BlobCache> blobs, net::DealerSocket socket,
                       std::unique_ptr<net::ZmqContext> context)
    : options_(std::move(worker_options)),
      signing_key_(key),
      signals_(signal_fd),
      context_(std::move(context)),
      socket_(std::move(socket)),
      cache_(std::move(blobs)),
      fetcher_(store_, *cache_, compile_identities(options_)),
      results_(store_, *cache_, MakerContext{options_.compiles ? &*options_.compiles : nullptr, nullptr, &signing_key_},
               options_.identity.worker),
      place_{options_.identity.worker, options_.state + "/work"},
      pool_(std::make_unique<TransferPool>(kTransferThreads)) {
  options_.identity.instance = random_temp_name().substr(0, 32);
  options_.identity.signing_key = signing_key_.public_key().hex();
  options_.identity.compiles = options_.compiles.has_value();
  make_children();
  for (std::size_t i = 0; i < options_.identity.lanes.size(); ++i) {
    const net::LaneOffer& offer = options_.identity.lanes[i];
    LaneHostOptions lane{options_.lane, options_.places.at(i), options_.ffmpeg, options_.state + "/logs",
                         options_.state + "/ffmpeg"};
    lanes_[offer.lane] = std::make_unique<LaneHost>(offer.lane, std::move(lane));
  }
}

FarmWorker::Impl::~Impl() {
  store_.abort();
  children_.clear();
  kernel_child_.reset();
  for (auto& [id, lane] : lanes_) lane->kill();
}

WorkerMoment FarmWorker::Impl::moment() const {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<WorkerTime>(Clock::now().time_since_epoch()),
          std::chrono::duration_cast<std::chrono::seconds>(wall).count()};
}

Status FarmWorker::Impl::run() {
  state_.rules = options_.rules;
  for (const auto& [lane, room] : options_.rooms) state_.cards.emplace(lane, CardLedger(room));
  for (const WorkerEffect& effect : begin_worker(state_, options_.identity, moment())) {
    std::visit([&](const auto& body) { carry_out(body); }, effect);
  }
  while (!over_) turn();
  // What was said last is still on its way out: the socket lingers for it.
  return *over_;
}

void FarmWorker::Impl::turn() {
  hear_coordinator();
  hear_signals();
  for (const auto& letter : mailbox_.take()) letter();
  look_at_lanes();
  tick();
  gather_when_due();
  settle();
  publish();
  if (!over_ && !socket_.pending()) wait();
}

void FarmWorker::Impl::publish() {
  const auto now = Clock::now();
  if (!door_ || now - published_at_ < kMetricsInterval) return;
  published_at_ = now;
  WorkerStats stats{cache_->stats(), cache_->budget_bytes(), store_.traffic(),   compiles_,
                    socket_.stats(), pool_->waiting(),       pool_->found_full(), results_.logs_cut()};
  for (const auto& [id, lane] : lanes_) {
    stats.lane_logs_emptied += lane->logs_emptied();
    stats.clips_let_go += lane->clips_let_go();
  }
  stats.groups = groups_.counters();
  stats.weights_copied_bytes = weights_copied_bytes_;
  stats.weights_received_bytes = weights_received_bytes_;
  stats.packages_let_go = fetcher_.packages_let_go();
  stats.artifacts_let_go = fetcher_.artifacts_let_go();
  stats.reasons_untold = told_reasons_.untold();
  std::string not_ready;
  if (state_.stopping()) not_ready = "the worker is ending";
  const bool up = std::any_of(state_.slots.begin(), state_.slots.end(), [](const auto& entry) {
    const SlotStatus status = entry.second.status;
    return !is_compile(entry.first) && (status == SlotStatus::kUp || status == SlotStatus::kReleased);
  });
  if (!up) not_ready = "no lane is up";
  if (state_.session.state != SessionState::kWelcomed) not_ready = "the coordinator has not let it in";
  door_->publish(worker_metrics(state_, stats), std::move(not_ready));
}

void FarmWorker::Impl::wait() {
  std::vector<pollfd> polls = {{signals_, POLLIN, 0}, {mailbox_.fd(), POLLIN, 0}, {socket_.fd(), POLLIN, 0},
                               {socket_.monitor_fd(), POLLIN, 0}};
  const std::size_t first_lane = polls.size();
  std::vector<LaneId> lanes;
  for (const auto& [id, lane] : lanes_) {
    if (!lane->running()) continue;
    polls.push_back({lane->fd(), POLLIN, 0});
    lanes.push_back(id);
  }
  auto turn = kLoopTurn;
  if (!to_gather_.empty()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(gather_at_ - Clock::now());
    turn = std::clamp(left, std::chrono::milliseconds(0), kLoopTurn);
  }
  if (::poll(polls.data(), polls.size(), static_cast<int>(turn.count())) <= 0) return;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (polls[first_lane + i].revents != 0) hear_lane(lanes[i]);
  }
}

void FarmWorker::Impl::settle() {
  while (!events_.empty() && !over_) {
    const WorkerEvent event = std::move(events_.front());
    events_.pop_front();
    for (const WorkerEffect& effect : step(state_, event, moment())) {
      std::visit([&](const auto& body) { carry_out(body); }, effect);
    }
  }
}

void FarmWorker::Impl::hear_coordinator() {
  while (socket_.pending()) {
    const auto bytes = socket_.receive();
    if (!bytes) break;
    auto message = net::decode_farm_message(*bytes);
    if (!message) {
      log::warn("a message of the coordinator is dropped: {}", message.error().message);
      if (message.error().exit == ExitCode::kVersionMismatch) over_ = fail(message.error());
      continue;
    }
    if (auto* told = std::get_if<net::ToWorker>(&message->body)) post(CoordinatorSaid{std::move(*told)});
  }
  follow_connection();
}

void FarmWorker::Impl::follow_connection() {
  const net::Connection& connection = socket_.connection();
  const bool connected = connection.state == net::ConnectionState::kConnected;
  if (connected && (!connected_ || connection.made != connections_made_)) {
    connections_made_ = connection.made;
    refusal_.clear();
    told_reasons_.clear();
    post(LinkUp{});
  } else if (!connected && connected_) {
    log::warn("the coordinator is away; lanes go on");
    post(LinkDown{});
  }
  connected_ = connected;
  if (!connected) {
    refusal_ = connection.reason;
    if (told_reasons_.is_new(refusal_)) log::warn("coordinator {}: {}", options_.coordinator, refusal_);
  }
  if (!connected) say_that_nobody_answers();
  if (connected && state_.session.state == SessionState::kWelcomed) served_at_ = Clock::now();
  if (options_.away_max.count() > 0 && Clock::now() - served_at_ >= options_.away_max) {
    over_ = fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable, "no coordinator at {} for {} s{}{}",
                            options_.coordinator, options_.away_max.count(), refusal_.empty() ? "" : ": ", refusal_));
  }
  // Connected to what does not answer: a process that hangs, or an address that was given to another.
  const bool ignored = connected && state_.session.state == SessionState::kGreeting;
  if (!ignored) ignored_since_ = Clock::now();
  if (Clock::now() - ignored_since_ < kWelcomePatience) return;
  log::warn("the coordinator does not answer; connecting again");
  ignored_since_ = Clock::now();
  socket_.reconnect();
}

// A connection that nobody takes has no reason of its own, and a wrong address looks like a coordinator that is yet to come.
void FarmWorker::Impl::say_that_nobody_answers() {
  const bool ever_connected = connections_made_ > 0;
  if (ever_connected || told_that_nobody_answers_ || !refusal_.empty()) return;
  if (Clock::now() - began_at_ < kFirstAnswerPatience) return;
  told_that_nobody_answers_ = true;
  log::warn("no coordinator answers at {}; trying again until one does", options_.coordinator);
}

void FarmWorker::Impl::hear_signals() {
  signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) post(StopAsked{});
}

// A lane that loads, probes, joins or is at a step of a shot says nothing for long, but it and its children use the processor.
void FarmWorker::Impl::look_at_lanes() {
  const auto now = Clock::now();
  if (now - looked_at_ < kLaneLookInterval) return;
  looked_at_ = now;
  for (auto& [id, lane] : lanes_) {
    const std::vector<RunPtr> runs = running_on(id);
    const bool has_chore = std::any_of(runs.begin(), runs.end(), [](const RunPtr& run) {
      const auto* segment = std::get_if<net::SegmentSpec>(&run->assign.spec);
      return segment == nullptr || segment->source.is_shot();
    });
    const bool silent_work = has_chore || (!runs.empty() && lane->loading());
    if (silent_work && lane->running() && lane->has_worked()) post(LaneIsAlive{id});
  }
}

void FarmWorker::Impl::tick() {
  const auto now = Clock::now();
  if (now - ticked_at_ < kLoopTurn) return;
  ticked_at_ = now;
  post(Tick{probe_resources().memory_available_bytes});
}

}  // namespace kiln::worker
