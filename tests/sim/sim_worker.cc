// A worker's shell, made up: lanes that take their time and fail, transfers that break.
#include <fmt/core.h>

#include "tests/sim/sim_world.h"

namespace kiln::sim {
namespace {

constexpr Millis kTick{250};
constexpr Millis kLaneStart{300};
constexpr Millis kRestartMax{8'000};
constexpr Millis kCutMax{30'000};
constexpr std::uint64_t kBudget = 1ULL << 30U;
constexpr std::uint64_t kNeeds = 100ULL << 20U;
constexpr int kFrameMs = 40;
// Holds a lane, or a compile: the first lane of every other worker and its compiles take turns.
constexpr worker::CardRoom kSmallCard{kNeeds * 2, kNeeds / 2, 0, kNeeds};

std::string digest(const std::string& text) {
  std::uint64_t hash = 1469598103934665603ULL;  // FNV-1a: the same on every machine
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  const std::string out = fmt::format("{:016x}", hash);
  return out + std::string(64 - out.size(), 'f');
}

net::WorkerHello identity_of(const SimWorker& one, int lanes) {
  net::WorkerHello hello;
  hello.worker = one.name;
  hello.instance = fmt::format("{}-{}", one.name, one.life);
  hello.compiles = true;
  hello.cores = lanes;
  for (int i = 0; i < lanes; ++i) {
    net::LaneOffer offer;
    offer.lane.value = static_cast<std::uint32_t>(i);
    offer.kind.isa = "avx2";
    offer.kind.toolchain = "tools";
    offer.budget_bytes = kBudget;
    offer.generates = i % 2 == 0;
    hello.lanes.push_back(offer);
  }
  return hello;
}

}  // namespace

worker::WorkerMoment SimWorld::moment(const SimWorker& one) const {
  return {now_, static_cast<std::int64_t>(kUnixStartS) + now_.count() / 1000 + one.wall_ahead_s};
}

void SimWorld::start_worker(SimWorker& one) {
  ++one.life;
  one.up = true;
  note("worker starts", static_cast<std::uint64_t>(one.number), static_cast<std::uint64_t>(one.life));
  one.state = worker::WorkerState{};
  one.state.rules.lane_silence_max = Millis(20'000);
  one.state.rules.transfer_patience = Millis(30'000);
  one.tasks.clear();
  if (one.number % 2 == 1) one.state.cards.emplace(LaneId{0}, worker::CardLedger(kSmallCard));
  auto effects = worker::begin_worker(one.state, identity_of(one, profile_.lanes), moment(one));
  for (worker::WorkerEffect& effect : effects) carry_out(one, effect);
  if (coordinator_.up && !one.cut) link(one, true);
  tick_worker(one, one.life);
}

void SimWorld::crash_worker(SimWorker& one) {
  note("worker is killed", static_cast<std::uint64_t>(one.number));
  one.up = false;
  one.connection.clear();
  for (auto& [lane, life] : one.lane_lives) ++life;
  at(Millis(200 + below(kRestartMax.count())), [this, &one] { start_worker(one); });
}

void SimWorld::stop_worker(SimWorker& one) {
  note("worker is told to end", static_cast<std::uint64_t>(one.number));
  feed(one, worker::StopAsked{});
}

// Nothing passes. The worker may notice, or not; what it had sent is gone.
void SimWorld::cut_off(SimWorker& one) {
  note("worker is cut off", static_cast<std::uint64_t>(one.number));
  one.cut = true;
  if (chance(500)) link(one, false);
  at(Millis(500 + below(kCutMax.count())), [this, &one] {
    one.cut = false;
    if (one.up && coordinator_.up) link(one, true);
  });
}

void SimWorld::link(SimWorker& one, bool up) {
  if (up) one.connection = fmt::format("{}#{}", one.name, ++one.connections);
  if (up) {
    feed(one, worker::LinkUp{});
  } else {
    feed(one, worker::LinkDown{});
  }
}

void SimWorld::tick_worker(SimWorker& one, int life) {
  at(kTick, [this, &one, life] {
    if (!one.up || one.life != life) return;
    feed(one, worker::Tick{kBudget});
    tick_worker(one, life);
  });
}

void SimWorld::feed(SimWorker& one, const worker::WorkerEvent& event) {
  if (!one.up) return;
  auto effects = worker::step(one.state, event, moment(one));
  const std::string broken = worker::broken_invariant(one.state);
  if (!broken.empty()) wrong(fmt::format("{}: {}", one.name, broken));
  for (worker::WorkerEffect& effect : effects) {
    carry_out(one, effect);
    if (!one.up) return;
    if (!dies_here()) continue;
    note("a worker dies between two effects");
    return crash_worker(one);
  }
}

void SimWorld::later(SimWorker& one, Millis delay, worker::WorkerEvent event) {
  at(delay, [this, &one, life = one.life, event = std::move(event)] {
    if (one.up && one.life == life) feed(one, event);
  });
}

void SimWorld::carry_out(SimWorker& one, worker::WorkerEffect& effect) {
  if (auto* send = std::get_if<worker::Send>(&effect)) return send_to_coordinator(one, send->message);
  if (auto* start = std::get_if<worker::StartLane>(&effect)) return later(one, kLaneStart, worker::LaneIsUp{start->lane});
  if (auto* kill = std::get_if<worker::KillLane>(&effect)) {
    ++one.lane_lives[kill->lane];
    return;
  }
  if (auto* released = std::get_if<worker::ReleaseLane>(&effect)) {
    ++one.lane_lives[released->lane];
    return;
  }
  if (auto* fetch = std::get_if<worker::Prepare>(&effect)) return prepare(one, fetch->assign);
  if (auto* run = std::get_if<worker::RunTask>(&effect)) return run_task(one, run->slot, run->assign);
  if (auto* cancel = std::get_if<worker::CancelRun>(&effect)) {
    return later(one, Millis(50), worker::RunFailed{cancel->key, {net::FailureKind::kError, "cancelled", "cancelled", -1}});
  }
  if (auto* put = std::get_if<worker::Store>(&effect)) return store(one, put->key, put->only_log);
  if (std::holds_alternative<worker::Leave>(effect)) {
    note("worker leaves", static_cast<std::uint64_t>(one.number));
    crash_worker(one);
  }
}

std::optional<std::string> SimWorld::missing_input(const net::Assign& assign) const {
  std::vector<net::BlobRef> needed;
  for (const net::PackageFile& file : assign.package.files) needed.push_back(file.blob);
  if (const auto* probe = std::get_if<net::ProbeSpec>(&assign.spec)) needed.push_back(probe->source.blob);
  if (const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec)) needed.push_back(segment->source.blob);
  if (const auto* join = std::get_if<net::JoinSpec>(&assign.spec)) {
    needed.push_back(join->source.blob);
    for (const net::JoinSegment& one : join->segments) needed.push_back(one.blob);
  }
  for (const net::BlobRef& blob : needed) {
    if (!blob.sha256.empty() && !blobs_.contains(blob.sha256)) return blob.sha256;
  }
  return std::nullopt;
}

void SimWorld::prepare(SimWorker& one, const net::Assign& assign) {
  const worker::TaskKey key = worker::key_of(assign);
  const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec);
  if (segment != nullptr && segment->source.is_shot()) {
    if (assign.lane.value % 2 != 0) wrong("a lane that renders no shots was given one");
    if (segment->first != 0 || segment->last != profile_.clip_frames) wrong("a part of a shot was assigned");
  }
  one.tasks[key] = assign;
  const auto missing = missing_input(assign);
  const coordinator::JobRecord* job = nullptr;
  const auto found = coordinator_.state.durable.jobs.find(assign.job);
  if (coordinator_.up && found != coordinator_.state.durable.jobs.end()) job = &found->second;
  if (missing && job != nullptr && !job->ended) {
    return wrong(fmt::format("task {}: what it needs was thrown away", assign.task));
  }
  const Millis delay(5 + below(200));
  if (missing || (faulty() && chance(profile_.transfer_faults))) {
    note("a transfer fails", assign.task, assign.attempt.value);
    return later(one, delay, worker::TransferFailed{key, {net::FailureKind::kError, "unavailable", "no store", -1}, true, false});
  }
  later(one, delay, worker::Prepared{key});
}

bool SimWorld::is_bad(const net::Assign& assign) const {
  const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec);
  const std::int64_t frame = profile_.clip_frames / 2;
  return segment != nullptr && segment->first <= frame && frame < segment->last &&
         assign.job == fmt::format("job-{}", profile_.bad_job);
}

void SimWorld::run_task(SimWorker& one, LaneId slot, const net::Assign& assign) {
  const worker::TaskKey key = worker::key_of(assign);
  Millis lasts(100 + below(300));
  if (const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec)) {
    lasts = Millis((segment->last - segment->first) * kFrameMs * (1 + one.number % 2));
  }
  if (std::holds_alternative<net::CompileSpec>(assign.spec)) lasts = Millis(3'000 + below(12'000));
  note("runs", assign.task, assign.attempt.value);
  const int life = one.lane_lives[slot];
  const auto answer = [this, &one, slot, life](Millis delay, worker::WorkerEvent event) {
    at(delay, [this, &one, slot, life, process = one.life, event = std::move(event)] {
      if (one.up && one.life == process && one.lane_lives[slot] == life) feed(one, event);
    });
  };
  if (is_bad(assign)) {
    note("the bad frame", assign.task);
    return answer(lasts / 2, worker::RunFailed{key, {net::FailureKind::kError, "internal", "this frame fails everywhere", -1}});
  }
  if (faulty() && chance(profile_.task_faults)) {
    const Millis when(below(lasts.count()));
    const bool lane = !worker::is_compile(slot);
    switch (below(4)) {
      case 0: note("a lane crashes", assign.task);
        if (!lane) break;
        return answer(when, worker::LaneIsLost{slot, net::FailureKind::kCrash, "killed by signal 11"});
      case 1: note("out of memory", assign.task);
        return answer(when, worker::RunFailed{key, {net::FailureKind::kOutOfMemory, "resource_exhausted", "out of memory", -1}});
      case 2: note("a lane hangs", assign.task);
        if (!lane) break;
        return;
      default: break;
    }
    return answer(when, worker::RunFailed{key, {net::FailureKind::kError, "internal", "it failed", -1}});
  }
  answer(lasts / 2, worker::LaneIsAlive{slot});
  if (const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec)) {
    answer(lasts / 2, worker::RunProgressed{{key.task, key.attempt, (segment->last - segment->first) / 2, 0, 0}});
  }
  answer(lasts, worker::RunDone{key});
}

net::TaskResult SimWorld::result_of(const net::Assign& assign) {
  const std::string name = fmt::format("{}-{}-{}", assign.job, assign.task, assign.attempt.value);
  const auto blob = [&] {
    const std::string sha256 = digest(name);
    blobs_[sha256].owners.insert(assign.job);
    return net::BlobRef{sha256, 1};
  };
  if (const auto* probe = std::get_if<net::ProbeSpec>(&assign.spec)) {
    net::ProbeResult out;
    out.frames = profile_.clip_frames;
    out.description = blob();
    for (const std::uint64_t budget : probe->budgets_bytes) {
      if (budget < kNeeds) continue;
      out.tiles.push_back({budget, 0, std::string(64, 'c'), 32, 32, kNeeds, 1024});
      out.tiles.push_back({budget, 0, std::string(64, 'c'), 16, 16, kNeeds / 2, 1500});
      break;
    }
    return out;
  }
  if (const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec)) {
    net::SegmentResult out;
    out.first = segment->first;
    out.last = segment->last;
    const auto frames = static_cast<double>(segment->last - segment->first);
    out.wall_s = frames * 0.04;
    out.model_s = frames * 0.03;
    out.model_core_s = frames * 0.03;
    out.encode_core_s = frames * 0.02;  // lanes of one worker have a core each: together they are held back
    out.segment = blob();
    return out;
  }
  if (const auto* join = std::get_if<net::JoinSpec>(&assign.spec)) {
    net::JoinResult out;
    for (const net::JoinSegment& one : join->segments) out.frames += one.frames;
    out.output = blob();
    return out;
  }
  if (const auto* compile = std::get_if<net::CompileSpec>(&assign.spec)) {
    net::CompileResult out;
    out.key = compile->key;
    out.from_store = !published_.insert(compile->key).second;
    return out;
  }
  return net::NoopResult{};
}

void SimWorld::store(SimWorker& one, worker::TaskKey key, bool only_log) {
  const auto found = one.tasks.find(key);
  if (found == one.tasks.end()) return wrong("a worker stores what it never had");
  const Millis delay(5 + below(200));
  if (faulty() && chance(profile_.transfer_faults)) {
    return later(one, delay, worker::TransferFailed{key, {net::FailureKind::kError, "unavailable", "no store", -1}, true, false});
  }
  if (now_ < store_full_until_) {
    note("the store takes nothing", key.task);
    return later(one, delay, worker::TransferFailed{key, {net::FailureKind::kStoreFull, "resource_exhausted", "no room", -1}, true, false});
  }
  worker::Stored event{key, std::nullopt, {}};
  if (!only_log) event.result = result_of(found->second);
  later(one, delay, std::move(event));
}

}  // namespace kiln::sim
