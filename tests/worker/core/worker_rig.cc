#include "tests/worker/core/worker_rig.h"

#include <gtest/gtest.h>

namespace kiln::worker {
namespace {

std::string name(TaskKey key) { return fmt::format("{}#{}", key.task, key.attempt.value); }

constexpr const char* kFailureWords[] = {"oom", "crash", "hang", "error", "lost", "bad_input", "mismatch"};

struct MessageWords {
  std::string operator()(const net::WorkerHello& m) const {
    std::string out = "hello lanes";
    for (const auto& lane : m.lanes) out += fmt::format(" {}", lane.lane.value);
    for (const auto& running : m.running) out += fmt::format(" running {}#{}", running.task, running.attempt.value);
    return out;
  }
  std::string operator()(const net::Heartbeat& m) const { return m.leaving ? "leaving" : "heartbeat"; }
  std::string operator()(const net::LaneChanged& m) const {
    return fmt::format("lane {} {}", m.offer.lane.value, m.up ? "up" : "down");
  }
  std::string operator()(const net::TaskProgress& m) const {
    return fmt::format("progress {}#{} {}", m.task, m.attempt.value, m.frames_done);
  }
  std::string operator()(const net::TaskDone& m) const { return "done " + name({m.task, m.attempt}); }
  std::string operator()(const net::TaskFailed& m) const {
    return fmt::format("failed {} {}", name({m.task, m.attempt}), kFailureWords[static_cast<int>(m.fault.kind)]);
  }
  std::string operator()(const net::AskRenewal&) const { return "renew"; }
  std::string operator()(const net::Goodbye&) const { return "goodbye"; }
};

struct EffectWords {
  std::string operator()(const Send& e) const { return "send " + std::visit(MessageWords{}, e.message); }
  std::string operator()(const UseWelcome&) const { return "welcome"; }
  std::string operator()(const StartLane& e) const { return fmt::format("start {}", e.lane.value); }
  std::string operator()(const KillLane& e) const { return fmt::format("kill {}", e.lane.value); }
  std::string operator()(const ReleaseLane& e) const { return fmt::format("release {}", e.lane.value); }
  std::string operator()(const DropCompiler& e) const { return fmt::format("drop compiler {}", net::lane_of_compiler(e.place).value); }
  std::string operator()(const Prepare& e) const { return "prepare " + name(key_of(e.assign)); }
  std::string operator()(const RunTask& e) const { return "run " + name(key_of(e.assign)); }
  std::string operator()(const CancelRun& e) const { return "cancel " + name(e.key); }
  std::string operator()(const Store& e) const { return (e.only_log ? "log " : "store ") + name(e.key); }
  std::string operator()(const Drop& e) const { return "drop " + name(e.key); }
  std::string operator()(const OfferArtifact& e) const { return "offer " + e.artifact + " to " + name(e.key); }
  std::string operator()(const Say&) const { return "say"; }
  std::string operator()(const Leave& e) const { return e.error ? "leave with error" : "leave"; }
};

net::Assign assign(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane, net::TaskSpec spec) {
  net::Assign out;
  out.task = task;
  out.attempt = Attempt{attempt};
  out.lane = LaneId{lane};
  out.job = "job";
  out.spec = std::move(spec);
  return out;
}

}  // namespace

std::string word(const WorkerEffect& effect) { return std::visit(EffectWords{}, effect); }

WorkerRig::WorkerRig(int lanes, WorkerRules rules) {
  state_.rules = rules;
  net::WorkerHello identity;
  identity.worker = "w";
  identity.instance = "i";
  identity.compiles = true;
  for (int i = 0; i < lanes; ++i) identity.lanes.push_back({LaneId{static_cast<std::uint32_t>(i)}, {}, 1 << 30, 1, {}});
  effects_ = begin_worker(state_, identity, now_);
}

WorkerRig::WorkerRig(const std::vector<CardRoom>& rooms, int compiles_at_once, WorkerRules rules) {
  state_.rules = rules;
  net::WorkerHello identity;
  identity.worker = "w";
  identity.instance = "i";
  identity.compiles = true;
  identity.compiles_at_once = compiles_at_once;
  for (std::uint32_t i = 0; i < rooms.size(); ++i) {
    net::LaneOffer offer{LaneId{i}, {}, 1 << 30, 1, {}};
    offer.kind.arch = "sm_90";
    identity.lanes.push_back(offer);
    state_.cards.emplace(LaneId{i}, CardLedger(rooms[i]));
  }
  effects_ = begin_worker(state_, identity, now_);
}

std::vector<std::string> WorkerRig::tell(const WorkerEvent& event) {
  effects_ = step(state_, event, now_);
  EXPECT_EQ(broken_invariant(state_), "");
  std::vector<std::string> words;
  for (const WorkerEffect& effect : effects_) {
    if (!std::holds_alternative<Say>(effect)) words.push_back(word(effect));
  }
  return words;
}

std::vector<std::string> WorkerRig::say(const net::ToWorker& message) {
  WorkerEvent event;
  event.emplace<CoordinatorSaid>().message = message;
  return tell(event);
}

std::vector<std::string> WorkerRig::wait(WorkerTime time) {
  now_.at += time;
  now_.unix_s += time.count() / 1000;
  return tell(Tick{});
}

void WorkerRig::settle_in() {
  tell(LinkUp{});
  say(welcome("e1"));
  for (const auto& [id, slot] : state_.slots) {
    if (!is_compile(id)) tell(LaneIsUp{id});
  }
}

net::Welcome WorkerRig::welcome(const std::string& epoch, std::int64_t expires_unix_s) {
  net::Welcome out;
  out.epoch = epoch;
  out.expires_unix_s = expires_unix_s;
  return out;
}

net::Assign WorkerRig::segment(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane, const std::string& artifact,
                               const std::string& executor) {
  net::SegmentSpec spec;
  spec.last = 8;
  spec.artifact_key = artifact;
  spec.executor = executor;
  return assign(task, attempt, lane, spec);
}

net::Assign WorkerRig::compile(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane, std::uint64_t activation_bytes) {
  net::CompileSpec spec;
  spec.activation_bytes = activation_bytes;
  return assign(task, attempt, net::compile_lane(LaneId{lane}).value, spec);
}

net::Assign WorkerRig::join(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane) {
  return assign(task, attempt, lane, net::JoinSpec{});
}

void WorkerRig::run(const net::Assign& assign) {
  say(assign);
  tell(Prepared{key_of(assign)});
}

}  // namespace kiln::worker
