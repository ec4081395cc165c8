// Lanes on cards that load one package's weights together: core/weight_groups decides, this tells it and them.
#include <algorithm>

#include "base/log.h"
#include "worker/farm_worker_impl.h"

namespace kiln::worker {
namespace {

// So long after a segment was assigned others of the same clip may follow. Groups begin then, while the package is still fetched:
// their members are connected when it is here.
constexpr std::chrono::milliseconds kGatherDelay{50};
constexpr double kBytesPerMib = 1024.0 * 1024.0;

// What a task has its lane load and others may load with it; empty: nothing. Lanes read a generator's files for themselves.
std::string weights_of(const net::Assign& assign) {
  const auto* segment = std::get_if<net::SegmentSpec>(&assign.spec);
  if (segment == nullptr || segment->source.is_shot() || assign.package.files.empty()) return {};
  return fmt::format("{}/{}", assign.package.files.front().blob.sha256, segment->dtype);
}

std::uint64_t largest_file(const net::PackageRef& package) {
  std::uint64_t most = 0;
  for (const net::PackageFile& file : package.files) most = std::max(most, file.blob.bytes);
  return most;
}

}  // namespace

void FarmWorker::Impl::say(const GroupWords& words) {
  for (const GroupWord& word : words) {
    if (const auto* over = std::get_if<net::ShareOver>(&word.body)) {
      log::debug("lane {}: group {} is over: {}", word.lane.value, over->epoch, over->why);
      if (!over->why.empty()) load_notes_[word.lane] = over->why;
    }
    std::visit([&](const auto& body) { (void)lanes_.at(word.lane)->send(body); }, word.body);
  }
}

// Lanes that have been given segments of the package, have not loaded it, and do nothing else.
std::vector<LaneId> FarmWorker::Impl::lanes_that_want(const std::string& weights) const {
  std::vector<LaneId> out;
  for (const auto& [id, slot] : state_.slots) {
    if (is_compile(id) || !lanes_.at(id)->running() || lanes_.at(id)->place().card_uuid.empty()) continue;
    if (lanes_.at(id)->loading() || lanes_.at(id)->has_loaded(weights)) continue;
    const bool wants = std::any_of(slot.works.begin(), slot.works.end(), [&](const Work& work) {
      return work.phase <= WorkPhase::kRunning && weights_of(work.assign) == weights;
    });
    const bool is_free = std::none_of(slot.works.begin(), slot.works.end(), [&](const Work& work) {
      const std::string at_work = work.on_lane() ? weights_of(work.assign) : "";
      return !at_work.empty() && at_work != weights;
    });
    if (wants && is_free) out.push_back(id);
  }
  return out;
}

bool FarmWorker::Impl::shares_weights(const net::Assign& assign) const {
  const auto cards = std::count_if(lanes_.begin(), lanes_.end(), [](const auto& lane) { return !lane.second->place().card_uuid.empty(); });
  return cards > 1 && !weights_of(assign).empty() && largest_file(assign.package) >= options_.rules.broadcast_bytes_min;
}

void FarmWorker::Impl::gather(const net::Assign& assign) {
  if (!shares_weights(assign)) return;
  const std::string weights = weights_of(assign);
  say(groups_.gather(weights, lanes_that_want(weights)));
}

void FarmWorker::Impl::gather_soon(const net::Assign& assign) {
  if (!shares_weights(assign)) return;
  if (to_gather_.empty()) gather_at_ = Clock::now() + kGatherDelay;
  to_gather_.insert_or_assign(weights_of(assign), assign);
}

// A package that was here already would else be loaded by the first lane before another is heard of.
void FarmWorker::Impl::on_prepared(const TaskRun& run) {
  const std::string weights = weights_of(run.assign);
  if (to_gather_.contains(weights) && !lanes_.at(run.slot)->has_loaded(weights)) return held_.push_back(run.key());
  post(Prepared{run.key(), is_compile(run.slot) && run.files.artifact != nullptr});
}

void FarmWorker::Impl::gather_when_due() {
  if (to_gather_.empty() || Clock::now() < gather_at_) return;
  for (const auto& [weights, assign] : std::exchange(to_gather_, {})) gather(assign);
  for (const TaskKey key : std::exchange(held_, {})) {
    if (find_run(key)) post(Prepared{key});
  }
}

// The group with which the lane is to load what the task runs; 0: alone.
std::uint64_t FarmWorker::Impl::share_for(const TaskRun& run) {
  const std::string weights = weights_of(run.assign);
  const LaneId id = run.slot;
  if (lanes_.at(id)->place().card_uuid.empty() || lanes_.at(id)->has_loaded(weights)) return 0;
  gather(run.assign);
  auto load = groups_.load(weights, id);
  say(load.words);
  const auto cards = std::count_if(lanes_.begin(), lanes_.end(), [](const auto& lane) { return !lane.second->place().card_uuid.empty(); });
  std::string& note = load_notes_[id];
  note.clear();
  if (load.epoch > 0) return load.epoch;
  if (cards < 2) {
    note = "there is one card";
  } else if (largest_file(run.assign.package) < options_.rules.broadcast_bytes_min) {
    note = "they are smaller than worker.broadcast_min_mib";
  } else {
    note = "no other lane loads them now";
  }
  return 0;
}

bool FarmWorker::Impl::hear_of_shares(LaneId id, const net::FromLane& message) {
  if (const auto* opened = std::get_if<net::ShareOpened>(&message)) {
    say(groups_.on_opened(id, *opened));
    return true;
  }
  const auto* ended = std::get_if<net::ShareEnded>(&message);
  if (ended == nullptr) return false;
  if (!ended->why.empty()) {
    load_notes_[id] = ended->why;
    log::warn("lane {}: weights are not broadcast: {}", id.value, ended->why);
  }
  say(groups_.on_ended(id, *ended));
  return true;
}

void FarmWorker::Impl::leave_share(LaneId id, const std::string& why) {
  say(groups_.on_lost(id, fmt::format("lane {}: {}", id.value, why)));
}

void FarmWorker::Impl::tell_of_weights(LaneId id, const net::PackageLoaded& loaded) {
  weights_copied_bytes_ += loaded.weights_copied_bytes;
  weights_received_bytes_ += loaded.weights_received_bytes;
  if (lanes_.at(id)->place().card_uuid.empty()) return;
  const std::string& note = load_notes_[id];
  log::info("lane {}: {:.1f} MiB of weights in {:.2f} s: {:.1f} from this host's sealed copy, {:.1f} by broadcast{}{}", id.value,
            static_cast<double>(loaded.weights_bytes) / kBytesPerMib, loaded.weights_s,
            static_cast<double>(loaded.weights_copied_bytes) / kBytesPerMib,
            static_cast<double>(loaded.weights_received_bytes) / kBytesPerMib, note.empty() ? "" : "; ", note);
}

}  // namespace kiln::worker
