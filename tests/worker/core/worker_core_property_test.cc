// Any order of events: a lane never runs more than it may, a card that does not hold its lane and a compile never has both, and a result that
// was stored stays until it is taken or called off.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "tests/worker/core/worker_rig.h"

namespace kiln::worker {
namespace {

constexpr std::uint32_t kLanes = 3;
constexpr std::uint64_t kTasks = 6;
// Holds a segment, or a compile, or a lane that is idle beside a child that rests.
constexpr CardRoom kSmall{1000, 300, 100, 500};

// What the world outside knows: which process runs what, and which results are due.
struct World {
  std::map<LaneId, std::set<TaskKey>> running;
  std::set<TaskKey> preparing;
  std::set<TaskKey> storing;
  std::set<TaskKey> stored;  // results that must not be lost
  bool small_cards = false;
  std::set<LaneId> alive;    // processes of lanes, and compile children by their place
  std::set<LaneId> worn;     // lanes whose process has rendered

  // What there must not be at once on a card of kSmall.
  void check_card(LaneId lane) {
    const LaneId place = net::compile_lane(lane);
    const bool compiles = !running[place].empty();
    RC_ASSERT(!compiles || !alive.contains(lane));
    RC_ASSERT(!alive.contains(place) || !worn.contains(lane));
  }

  void change_processes(const WorkerEffect& effect) {
    if (const auto* start = std::get_if<StartLane>(&effect)) alive.insert(start->lane);
    if (const auto* kill = std::get_if<KillLane>(&effect)) end(kill->lane);
    if (const auto* release = std::get_if<ReleaseLane>(&effect)) {
      RC_ASSERT(running[release->lane].empty());
      end(release->lane);
    }
    if (const auto* drop = std::get_if<DropCompiler>(&effect)) {
      RC_ASSERT(running[drop->place].empty());
      alive.erase(drop->place);
    }
    if (const auto* run = std::get_if<RunTask>(&effect)) {
      if (is_compile(run->slot)) alive.insert(run->slot);
      if (std::holds_alternative<net::SegmentSpec>(run->assign.spec)) worn.insert(run->slot);
    }
  }
  void end(LaneId lane) {
    alive.erase(lane);
    worn.erase(lane);
  }

  void carry_out(const WorkerEffect& effect) {
    change_processes(effect);
    if (const auto* run = std::get_if<RunTask>(&effect)) {
      RC_ASSERT(running[run->slot].insert(key_of(run->assign)).second);
      RC_ASSERT(running[run->slot].size() <= (is_compile(run->slot) ? 1U : kSegmentsPerLaneMax + 1U));
    } else if (const auto* kill = std::get_if<KillLane>(&effect)) {
      running.erase(kill->lane);
    } else if (const auto* prepare = std::get_if<Prepare>(&effect)) {
      preparing.insert(key_of(prepare->assign));
    } else if (const auto* store = std::get_if<Store>(&effect)) {
      storing.insert(store->key);
    }
    for (std::uint32_t lane = 0; small_cards && lane < kLanes; ++lane) check_card(LaneId{lane});
  }
};

template <typename T>
T pick(const std::set<T>& from) {
  return *std::next(from.begin(), *rc::gen::inRange<int>(0, static_cast<int>(from.size())));
}

TaskKey any_key() {
  return {*rc::gen::inRange<std::uint64_t>(1, kTasks), Attempt{*rc::gen::inRange<std::uint32_t>(1, 4)}};
}

net::Assign any_assign() {
  const TaskKey key = any_key();
  const auto lane = *rc::gen::inRange<std::uint32_t>(0, kLanes);
  if (key.task == 1 || key.task == 4) return WorkerRig::compile(key.task, key.attempt.value, lane);
  return key.task == 2 ? WorkerRig::join(key.task, key.attempt.value, lane)
                       : WorkerRig::segment(key.task, key.attempt.value, lane, "k",
                                            key.task == 3 ? "compiled" : "any");
}

std::optional<WorkerEvent> event_of_lane(World& world, int choice) {
  std::set<LaneId> busy;
  for (const auto& [lane, keys] : world.running) {
    if (!keys.empty()) busy.insert(lane);
  }
  if (busy.empty()) return std::nullopt;
  const LaneId lane = pick(busy);
  const TaskKey key = pick(world.running.at(lane));
  if (choice == 0) return RunProgressed{{key.task, key.attempt, 1, 0, 0}};
  if (choice == 1) return ArtifactRefused{key, "no"};
  if (choice == 2 && is_compile(lane)) return std::nullopt;
  if (choice == 2) {
    world.running.erase(lane);
    world.end(lane);
    return LaneIsLost{lane, net::FailureKind::kCrash, "x"};
  }
  world.running.at(lane).erase(key);
  if (choice == 3) return RunFailed{key, {net::FailureKind::kOutOfMemory, "internal", "x", -1}};
  return RunDone{key};
}

std::optional<WorkerEvent> event_of_transfer(World& world, int choice) {
  if (!world.preparing.empty() && choice < 2) {
    const TaskKey key = pick(world.preparing);
    world.preparing.erase(key);
    if (choice == 0) return Prepared{key};
    return TransferFailed{key, {net::FailureKind::kError, "unavailable", "x", -1}, true, false};
  }
  if (world.storing.empty()) return std::nullopt;
  const TaskKey key = pick(world.storing);
  world.storing.erase(key);
  if (choice == 4) return TransferFailed{key, {net::FailureKind::kError, "unavailable", "x", -1}, true, false};
  return Stored{key, net::SegmentResult{}, {}};
}

std::optional<WorkerEvent> event_of_coordinator(World& world, int choice) {
  const TaskKey key = any_key();
  switch (choice) {
    case 0:
    case 1: return CoordinatorSaid{any_assign()};
    case 2: world.stored.erase(key); return CoordinatorSaid{net::CancelTask{key.task, key.attempt, ""}};
    case 3: world.stored.erase(key); return CoordinatorSaid{net::ResultTaken{key.task, key.attempt}};
    case 4: return CoordinatorSaid{net::ArtifactReady{"k"}};
    case 5: return CoordinatorSaid{WorkerRig::welcome(*rc::gen::element<std::string>("e1", "e2"))};
    default: return CoordinatorSaid{net::WorkerRefused{make_error(ErrorCode::kUnauthenticated, "hello?")}};
  }
}

WorkerEvent any_event(World& world) {
  const int kind = *rc::gen::inRange(0, 10);
  std::optional<WorkerEvent> event;
  if (kind < 3) event = event_of_lane(world, *rc::gen::inRange(0, 6));
  if (kind >= 3 && kind < 6) event = event_of_transfer(world, *rc::gen::inRange(0, 6));
  if (kind == 6 || kind == 7) event = event_of_coordinator(world, *rc::gen::inRange(0, 7));
  if (event) return *event;
  if (kind == 8) return *rc::gen::inRange(0, 2) == 0 ? WorkerEvent(LinkUp{}) : WorkerEvent(LinkDown{});
  return LaneIsUp{LaneId{*rc::gen::inRange<std::uint32_t>(0, kLanes)}};
}

RC_GTEST_PROP(WorkerCorePropertyTest, NoResultIsLostAndNoLaneHasTooManyTasks, ()) {
  WorkerRules rules;
  rules.deaths_max = 1'000'000;
  World world;
  world.small_cards = *rc::gen::arbitrary<bool>();
  WorkerRig rig = world.small_cards ? WorkerRig({kSmall, kSmall, kSmall}, 2, rules) : WorkerRig(kLanes, rules);
  for (std::uint32_t lane = 0; lane < kLanes; ++lane) world.alive.insert(LaneId{lane});
  const auto take_effects = [&] {
    for (const WorkerEffect& effect : rig.effects()) world.carry_out(effect);
  };
  rig.settle_in();
  const int steps = *rc::gen::inRange(1, 120);
  for (int i = 0; i < steps; ++i) {
    const WorkerEvent event = any_event(world);
    const auto* stored = std::get_if<Stored>(&event);
    const std::size_t reports = rig.state().reports.size();
    rig.tell(event);
    take_effects();
    if (stored != nullptr && rig.state().reports.size() > reports) world.stored.insert(stored->key);
    if (*rc::gen::inRange(0, 5) == 0) {
      rig.wait(WorkerTime{*rc::gen::inRange(1, 20'000)});
      take_effects();
    }
    RC_ASSERT(broken_invariant(rig.state()) == "");
    for (const TaskKey& key : world.stored) RC_ASSERT(rig.state().reports.contains(key));
  }
  // Faults stop: everything that is at work here comes to an end, and a coordinator that is back hears of all of it.
  rig.tell(LinkUp{});
  rig.say(WorkerRig::welcome("e3"));
  for (int i = 0; i < 40; ++i) {
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      rig.tell(LaneIsUp{LaneId{lane}});
      take_effects();
    }
    for (const int choice : {0, 2}) {
      while (auto event = event_of_transfer(world, choice)) {
        rig.tell(*event);
        take_effects();
      }
    }
    while (auto event = event_of_lane(world, 5)) {
      rig.tell(*event);
      take_effects();
    }
    rig.wait(WorkerTime{5'000});
    take_effects();
  }
  for (const auto& [id, slot] : rig.state().slots) RC_ASSERT(slot.works.empty());
  for (const auto& [key, report] : rig.state().reports) RC_ASSERT(report.sent_at > WorkerTime{1'000'000});
}

}  // namespace
}  // namespace kiln::worker
