#include "coordinator/farm_server.h"

#include <poll.h>

#include <cerrno>

#include "base/log.h"

namespace kiln::coordinator {

namespace {

// In place of an answer that no message holds.
net::Refused too_large(const net::ClientReply& reply, std::size_t bytes) {
  std::string_view what = "there is no way to ask for less of it";
  if (std::holds_alternative<net::JobStatus>(reply)) {
    what = "ask for less of the job (GetJob: detail, clips_max, from_frame, segments_max)";
  }
  if (std::holds_alternative<net::JobList>(reply)) what = "ask for open jobs alone, or remove some (kiln rm JOB)";
  return {make_error(ErrorCode::kResourceExhausted, "the answer has {} bytes; at most {}: {}", bytes,
                     net::kFarmMessageBytesMax, what)};
}

}  // namespace

FarmServer::FarmServer(FarmServerOptions options, Durable durable, net::RouterSocket socket, FarmJournal& journal,
                       const GrantIssuer& grants, BlobKeeper& keeper, KeyRegister& keys)
    : options_(std::move(options)), socket_(std::move(socket)), journal_(journal), grants_(grants), keeper_(keeper),
      keys_(keys) {
  state_.rules = options_.rules;
  state_.durable = std::move(durable);
  appended_ = journal_.durable_sequence();
  begin_after_replay(state_, now());
  for (const auto& [name, job] : state_.durable.jobs) unannounced_.push_back(name);
}

Moment FarmServer::now() const {
  const auto at = std::chrono::duration_cast<FarmTime>(Clock::now().time_since_epoch());
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {at, std::chrono::duration<double>(wall).count()};
}

std::int64_t FarmServer::unix_s() const { return static_cast<std::int64_t>(now().unix_s); }

Status FarmServer::run(int stop_fd) {
  ready_ = true;
  for (;;) {
    read_messages();
    const auto time = Clock::now();
    if (time - ticked_ >= kFarmTick && (state_.live.dirty || !state_.live.changed.empty() || time - ticked_ >= kFarmIdleTick)) {
      ticked_ = time;
      apply(Tick{});
    }
    carry_out_ready();
    send_queued();
    announce_some();
    if (const Status status = journal_.status(); !status) {
      ready_ = false;
      return status;
    }
    publish_metrics();
    if (socket_.pending()) continue;
    const bool soon = state_.live.dirty || !state_.live.changed.empty() || !queued_.empty() || !unannounced_.empty();
    pollfd polls[] = {{stop_fd, POLLIN, 0}, {socket_.fd(), POLLIN, 0}, {journal_.durable_fd(), POLLIN, 0}};
    const auto wait = soon ? kFarmTick : kFarmIdleTick;
    if (::poll(polls, 3, static_cast<int>(wait.count())) < 0 && errno != EINTR) return fail(errno_error(errno, "poll"));
    if (polls[0].revents != 0) return {};
    if (polls[2].revents != 0) journal_.clear_durable_fd();
  }
}

void FarmServer::read_messages() {
  for (int i = 0; i < kMessagesPerTurn && socket_.pending(); ++i) {
    if (gate_.size() > kGateMax) {  // the disk is behind: peers wait in their queues
      ++stats_.gate_full;
      return;
    }
    const auto received = socket_.receive();
    if (received) on_message(*received);
  }
}

void FarmServer::on_message(const net::Received& received) {
  ++stats_.messages;
  auto message = net::decode_farm_message(received.bytes);
  if (message) return on_decoded(received, std::move(*message));
  on_undecodable(received, message.error());
}

// Whoever can be answered is told why; of a frame that is none of ours nothing more is known.
void FarmServer::on_undecodable(const net::Received& received, const Error& error) {
  const bool version = error.exit == ExitCode::kVersionMismatch;
  ++(version ? stats_.wrong_version : stats_.malformed);
  const auto head = net::decode_farm_head(received.bytes);
  log::warn("a message of {} {} is refused: {}", received.peer.name, received.address, error.message);
  if (!head) return;
  net::FarmMessage answer;
  answer.request = head->request;
  answer.body = net::ClientReply{net::Refused{error}};
  send(received.identity, std::move(answer));
}

void FarmServer::on_decoded(const net::Received& received, net::FarmMessage message) {
  if (const auto* said = std::get_if<net::FromWorker>(&message.body)) return on_worker(received, *said);
  auto* asked = std::get_if<net::ClientRequest>(&message.body);
  if (asked == nullptr) {
    ++stats_.malformed;
    return;
  }
  const bool admin = received.peer.may_act_as(net::PeerRole::kAdmin);
  if (!admin && !received.peer.may_act_as(net::PeerRole::kClient)) {
    ++stats_.wrong_role;
    net::FarmMessage answer;
    answer.request = message.request;
    answer.body = net::ClientReply{net::Refused{make_error(ErrorCode::kPermissionDenied, ExitCode::kDenied,
        "the key {} is a worker's; ask with a client's or an admin's key", received.peer.name)}};
    return send(received.identity, std::move(answer));
  }
  apply(ClientAsked{received.identity, message.request, admin, received.peer.name, std::move(*asked)});
}

void FarmServer::on_worker(const net::Received& received, const net::FromWorker& body) {
  const auto* hello = std::get_if<net::WorkerHello>(&body);
  const bool other_name = hello != nullptr && !received.peer.is_local && hello->worker != received.peer.name;
  if (received.peer.may_act_as(net::PeerRole::kWorker) && !other_name) {
    const bool signs = hello != nullptr && !hello->signing_key.empty();
    const Status known = signs ? keys_.add(hello->signing_key) : Status();
    if (!known) log::error("{}: its artifacts will not be loaded: {}", hello->worker, known.error().message);
    return apply(WorkerSaid{received.identity, body});
  }
  ++stats_.wrong_role;
  Error error = other_name
      ? make_error(ErrorCode::kPermissionDenied, ExitCode::kDenied, "this key is of the worker {}; start it with --name {}",
                   received.peer.name, received.peer.name)
      : make_error(ErrorCode::kPermissionDenied, ExitCode::kDenied, "the key {} is no worker's", received.peer.name);
  net::FarmMessage answer;
  answer.body = net::ToWorker{net::WorkerRefused{std::move(error)}};
  send(received.identity, std::move(answer));
}

void FarmServer::apply(const FarmEvent& event) {
  std::vector<FarmEffect> effects = step(state_, event, now());
  std::vector<std::string> facts;
  for (const FarmEffect& effect : effects) {
    if (const auto* record = std::get_if<Record>(&effect)) facts.push_back(net::encode(record->fact));
  }
  if (!facts.empty()) {
    const auto sequence = journal_.append(facts);
    if (!sequence) return;  // status() tells the loop, and nothing of this leaves
    appended_ = *sequence;
  }
  for (FarmEffect& effect : effects) {
    if (!std::holds_alternative<Record>(effect)) gate_.push(appended_, std::move(effect));
  }
}

void FarmServer::carry_out_ready() {
  for (FarmEffect& effect : gate_.take(journal_.durable_sequence())) carry_out(effect);
}

void FarmServer::carry_out(FarmEffect& effect) {
  if (auto* one = std::get_if<Tell>(&effect)) return tell(*one);
  if (auto* reply = std::get_if<Reply>(&effect)) {
    if (auto* status = std::get_if<net::FarmStatus>(&reply->reply)) status->version = options_.version;
    net::FarmMessage message;
    message.request = reply->request;
    message.body = std::move(reply->reply);
    return send(reply->connection, std::move(message));
  }
  if (auto* issue = std::get_if<IssueGrants>(&effect)) {
    net::FarmMessage message;
    message.request = issue->request;
    message.body = net::ClientReply{grants_.for_client(issue->job, issue->write, unix_s())};
    return send(issue->connection, std::move(message));
  }
  if (auto* keep = std::get_if<KeepBlobs>(&effect)) keeper_.keep(std::move(*keep));
}

void FarmServer::tell(Tell& tell) {
  if (auto* welcome = std::get_if<net::Welcome>(&tell.message)) {
    welcome->epoch = std::to_string(state_.live.started_at.count());
    welcome->heartbeat_ms = options_.rules.heartbeat_ms;
    welcome->trusted_keys = keys_.text();
    grants_.fill(*welcome, unix_s());
  }
  if (auto* assign = std::get_if<net::Assign>(&tell.message)) grants_.fill(*assign, unix_s());
  net::FarmMessage message;
  message.body = std::move(tell.message);
  send(tell.connection, std::move(message));
}

// A worker with many lanes is told more at once than its queue holds. What is dropped in the end (the peer is gone, or
// does not read at all) a heartbeat brings to light.
void FarmServer::send(const std::string& connection, net::FarmMessage message) {
  std::string bytes = net::encode(message);
  if (bytes.size() > net::kFarmMessageBytesMax) {
    ++stats_.too_large;
    log::warn("an answer of {} bytes is not sent; at most {}", bytes.size(), net::kFarmMessageBytesMax);
    const auto* reply = std::get_if<net::ClientReply>(&message.body);
    if (reply == nullptr) return;
    message.body = net::ClientReply{too_large(*reply, bytes.size())};
    bytes = net::encode(message);
  }
  const auto behind = queued_.find(connection);
  if (behind == queued_.end()) {
    const Status status = socket_.send(connection, bytes);
    if (status) return;
    if (status.error().code != ErrorCode::kResourceExhausted) {
      ++stats_.unsent;
      return;
    }
  }
  std::deque<std::string>& queue = queued_[connection];
  if (queue.size() >= kQueuedMax) {
    ++stats_.unsent;
    return;
  }
  ++stats_.queued;
  queue.push_back(std::move(bytes));
}

void FarmServer::send_queued() {
  for (auto entry = queued_.begin(); entry != queued_.end();) {
    auto& [connection, queue] = *entry;
    Status status;
    while (!queue.empty() && (status = socket_.send(connection, queue.front()))) queue.pop_front();
    const bool gone = !status && status.error().code != ErrorCode::kResourceExhausted;
    if (gone) stats_.unsent += queue.size();
    entry = queue.empty() || gone ? queued_.erase(entry) : std::next(entry);
  }
}

// After a start the store hears again what each job needs: little by little, so that the doors open at once.
void FarmServer::announce_some() {
  for (int i = 0; i < kAnnouncedPerTurn && !unannounced_.empty(); ++i) {
    const net::JobName job = std::move(unannounced_.front());
    unannounced_.pop_front();
    if (state_.durable.jobs.contains(job)) keeper_.keep(needs_of(state_.durable, job));
  }
}

void FarmServer::publish_metrics() {
  const auto time = Clock::now();
  if (time - published_ < kFarmIdleTick) return;
  published_ = time;
  metrics_.renew(farm_metrics(state_, stats_, socket_.stats(), gate_.size()));
}

}  // namespace kiln::coordinator
