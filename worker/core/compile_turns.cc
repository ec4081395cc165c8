// A card's lane and its compile child, where its memory does not hold both. A compile waits for what the lane had when it came; what the
// lane is given later is held back. Then the lane's process ends, the artifact is made, and the lane is started again: neither
// ever waits for more than what was there before it. Where the memory holds both, nobody waits.
#include <fmt/core.h>

#include <algorithm>

#include "worker/core/worker_turn.h"

namespace kiln::worker {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

SlotEntry* entry(const WorkerTurn& turn, LaneId id) {
  const auto found = turn.state.slots.find(id);
  return found == turn.state.slots.end() ? nullptr : &*found;
}

CardLedger* ledger(const WorkerTurn& turn, LaneId lane) {
  const auto found = turn.state.cards.find(lane);
  return found == turn.state.cards.end() ? nullptr : &found->second;
}

std::uint64_t weights_bytes(const net::PackageRef& package) {
  std::uint64_t bytes = 0;
  for (const net::PackageFile& file : package.files) bytes += file.path.rfind("weights/", 0) == 0 ? file.blob.bytes : 0;
  return bytes;
}

// Nothing: it takes none of the card.
std::optional<CardNeed> need_of(const net::Assign& assign) {
  if (const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec)) {
    return CardNeed{weights_bytes(assign.package), segment->activation_bytes, segment->card_bytes};
  }
  if (const auto* compile = std::get_if<net::CompileSpec>(&assign.spec)) {
    return CardNeed{weights_bytes(assign.package), compile->activation_bytes, 0};
  }
  return std::nullopt;
}

int compiles_running(const WorkerState& state) {
  return static_cast<int>(std::count_if(state.slots.begin(), state.slots.end(), [](const auto& slot) {
    return is_compile(slot.first) && slot.second.has_on_lane();
  }));
}

void drop_child(WorkerTurn& turn, LaneId lane, CardLedger& card) {
  if (card.child_bytes() == 0) return;
  turn.emit(DropCompiler{net::compile_lane(lane)});
  card.on_child_gone();
}

void run_compile(WorkerTurn& turn, SlotEntry& place, Work& work) {
  Slot& slot = place.second;
  if (slot.asked_at) {
    ++turn.state.counters.compile_turns;
    turn.state.counters.compile_turns_waited += turn.now.at - *slot.asked_at;
    slot.asked_at.reset();
    slot.goes_first.clear();
  }
  if (CardLedger* card = ledger(turn, net::lane_of_compiler(place.first)); card != nullptr && !work.found) card->on_compile(*need_of(work.assign));
  work.phase = WorkPhase::kRunning;
  work.since = turn.now.at;
  turn.emit(RunTask{place.first, work.assign});
}

void ask_for_turn(WorkerTurn& turn, Slot& place, const Slot& lane) {
  if (place.asked_at) return;
  place.asked_at = turn.now.at;
  for (const Work& work : lane.works) {
    if (work.phase != WorkPhase::kStoring) place.goes_first.insert(work.key());
  }
}

// What goes first is done, and nothing else is at work there.
bool is_free(const Slot& place, const Slot& lane) {
  return std::none_of(lane.works.begin(), lane.works.end(), [&](const Work& work) {
    return work.on_lane() || (work.phase != WorkPhase::kStoring && place.goes_first.contains(work.key()));
  });
}

void release_lane(WorkerTurn& turn, SlotEntry& lane, CardLedger& card, const CardNeed& compile) {
  if (lane.second.status == SlotStatus::kDown) return;  // there is no process
  turn.emit(ReleaseLane{lane.first, fmt::format("a compile of its card comes first: together they would take {:.0f} of {:.0f} MiB",
                                                static_cast<double>(card.lane_bytes() + card.child_bytes_with(compile)) / kMiB,
                                                static_cast<double>(card.room().bytes) / kMiB)});
  lane.second.status = SlotStatus::kReleased;
  card.on_lane_gone();
}

}  // namespace

bool card_allows_start(WorkerTurn& turn, LaneId lane) {
  CardLedger* card = ledger(turn, lane);
  if (card == nullptr) return true;
  if (!card->lane_fits()) {
    if (card->child_compiles()) return false;
    drop_child(turn, lane, *card);
  }
  card->on_lane_started();
  return true;
}

void card_lost_lane(WorkerTurn& turn, LaneId lane) {
  if (CardLedger* card = ledger(turn, lane); card != nullptr) card->on_lane_gone();
}

bool card_allows_work(WorkerTurn& turn, const SlotEntry& lane, const Work& next) {
  const SlotEntry* place = entry(turn, net::compile_lane(lane.first));
  const bool held_back = place != nullptr && place->second.asked_at && !place->second.goes_first.contains(next.key());
  if (held_back) return false;
  CardLedger* card = ledger(turn, lane.first);
  const auto need = need_of(next.assign);
  if (card == nullptr || !need) return true;
  if (!card->segment_fits(*need)) {
    if (card->child_compiles()) return false;
    drop_child(turn, lane.first, *card);
  }
  card->on_segment(*need);
  return true;
}

void settle_compiler(WorkerTurn& turn, SlotEntry& place) {
  Slot& slot = place.second;
  const auto next = std::find_if(slot.works.begin(), slot.works.end(), [](const Work& work) { return work.phase == WorkPhase::kPrepared; });
  if (next == slot.works.end()) {  // it was called off, or is at work
    slot.asked_at.reset();
    return slot.goes_first.clear();
  }
  if (slot.has_on_lane()) return;
  if (!next->found && compiles_running(turn.state) >= std::max(1, turn.state.identity.compiles_at_once)) {
    turn.state.counters.compiles_held_back += std::exchange(next->held_back, true) ? 0U : 1U;
    return;
  }
  const LaneId lane_id = net::lane_of_compiler(place.first);
  CardLedger* card = ledger(turn, lane_id);
  SlotEntry* lane = entry(turn, lane_id);
  if (card == nullptr || lane == nullptr || next->found) return run_compile(turn, place, *next);
  const CardNeed need = *need_of(next->assign);
  if (!card->compile_fits(need)) {
    ask_for_turn(turn, slot, lane->second);
    if (!is_free(slot, lane->second)) return;
    release_lane(turn, *lane, *card, need);
  }
  run_compile(turn, place, *next);
}

void compile_ended(WorkerTurn& turn, LaneId place, const CompileMemory& memory) {
  CardLedger* card = ledger(turn, net::lane_of_compiler(place));
  if (card != nullptr && card->child_compiles()) card->on_compiled(memory);
}

void resume_lane(WorkerTurn& turn, SlotEntry& lane) {
  const CardLedger* card = ledger(turn, lane.first);
  const bool waits = card != nullptr && card->child_compiles() && !card->lane_fits();
  if (lane.second.status == SlotStatus::kReleased && !waits) start_lane(turn, lane);
}

void keep_turn(WorkerTurn& turn, SlotEntry& place) {
  Slot& slot = place.second;
  if (!slot.asked_at || turn.now.at - *slot.asked_at < turn.state.rules.compile_turn_patience) return;
  ++turn.state.counters.compile_turns_given_up;
  slot.asked_at.reset();
  slot.goes_first.clear();
  for (const TaskKey& key : keys_of(slot)) {
    Work* work = slot.find(key);
    if (work == nullptr || work->phase != WorkPhase::kPrepared) continue;
    fail_work(turn, place, *work, lost_lane(fmt::format("its card was not free for {} s", turn.state.rules.compile_turn_patience.count() / 1000)));
  }
}

std::vector<LaneId> waiting_lanes(const WorkerState& state) {
  std::vector<LaneId> out;
  for (const auto& [id, card] : state.cards) {
    const auto lane = state.slots.find(id);
    if (lane == state.slots.end() || !card.child_compiles()) continue;
    const auto& works = lane->second.works;
    const bool held = std::any_of(works.begin(), works.end(), [&, &ledger = card](const Work& work) {
      const auto need = need_of(work.assign);
      return work.phase == WorkPhase::kPrepared && need && !ledger.segment_fits(*need);
    });
    if (held || lane->second.status == SlotStatus::kReleased) out.push_back(id);
  }
  return out;
}

}  // namespace kiln::worker
