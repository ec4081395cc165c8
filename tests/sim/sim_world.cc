#include "tests/sim/sim_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"

namespace kiln::sim {
namespace {

constexpr std::int64_t kThousand = 1000;
constexpr std::int64_t kHundredThousand = 100'000;
constexpr Millis kFullMost{15'000};
constexpr std::uint64_t kEventsMax = 5'000'000;  // of one run; more means that something never ends

}  // namespace

SimResult run_farm(std::uint64_t seed, const SimProfile& profile) { return SimWorld(seed, profile).run(); }

SimWorld::SimWorld(std::uint64_t seed, const SimProfile& profile) : profile_(profile), random_(seed) {
  for (int i = 0; i < profile_.workers; ++i) {
    auto one = std::make_unique<SimWorker>();
    one->name = fmt::format("w{}", i);
    one->number = i;
    workers_.push_back(std::move(one));
  }
}

SimResult SimWorld::run() {
  start_coordinator();
  for (auto& one : workers_) start_worker(*one);
  for (int i = 0; i < profile_.jobs; ++i) {
    at(Millis(below(profile_.faults_last.count() / 2)), [this, i] { submit(i); });
  }
  each_second();
  const Millis end = profile_.faults_last + profile_.calm_lasts;
  while (!due_.empty() && result_.violation.empty()) {
    Due next = std::move(const_cast<Due&>(due_.top()));
    due_.pop();
    now_ = next.time;
    if (now_ > end || result_.events > kEventsMax) break;
    ++result_.events;
    next.what();
    if (!ledger_.violation().empty()) wrong(ledger_.violation());
    if (!faulty() && all_ended()) break;
  }
  if (result_.violation.empty()) check_end();
  for (const Noted& one : noted_) {
    result_.last_events.push_back(fmt::format("{:>9} ms  {} {} {}", one.time.count(), one.what, one.a, one.b));
  }
  return std::move(result_);
}

void SimWorld::at(Millis delay, std::function<void()> what) { due_.push({now_ + delay, ++order_, std::move(what)}); }

std::int64_t SimWorld::below(std::int64_t bound) {
  return bound <= 1 ? 0 : static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(bound));
}

bool SimWorld::chance(int thousandths) { return below(kThousand) < thousandths; }

bool SimWorld::dies_here() { return faulty() && below(kHundredThousand) < profile_.crashes_between_steps; }

// Until somebody makes room. A journal that is full ends its coordinator, again and again; a full store takes nothing.
void SimWorld::fill_disk() {
  const Millis until = now_ + Millis(1'000 + below(kFullMost.count()));
  const bool journal = chance(500);
  note(journal ? "the journal's disk is full" : "the store's disk is full");
  (journal ? journal_full_until_ : store_full_until_) = until;
}

void SimWorld::note(const char* what, std::uint64_t a, std::uint64_t b) {
  ++result_.counts[what];
  if (noted_.size() >= kEventsKept) noted_.pop_front();
  noted_.push_back({now_, what, a, b});
}

void SimWorld::wrong(const std::string& what) {
  if (result_.violation.empty()) result_.violation = fmt::format("at {} ms: {}", now_.count(), what);
}

// Misfortunes, as long as there are any.
void SimWorld::each_second() {
  at(Millis(1000), [this] { each_second(); });
  check_against_journal();
  if (!faulty()) return;
  if (coordinator_.up && chance(profile_.coordinator_crashes)) crash_coordinator();
  for (auto& one : workers_) {
    if (one->up && chance(profile_.worker_crashes)) crash_worker(*one);
    if (one->up && !one->cut && chance(profile_.partitions)) cut_off(*one);
    if (one->up && chance(profile_.worker_stops)) stop_worker(*one);
  }
  if (chance(profile_.clock_jumps)) jump_clock();
  if (chance(profile_.full_disks)) fill_disk();
  if (chance(profile_.cancels)) cancel_one();
  if (chance(profile_.evictions)) evict();
}

// Somebody sets a machine's clock, or time synchronisation does. Clocks that only count, as those of deadlines, do not jump.
void SimWorld::jump_clock() {
  constexpr std::int64_t kDayS = 86'400;
  const auto whose = static_cast<std::size_t>(below(profile_.workers + 1));
  const std::int64_t ahead_s = below(2 * kDayS) - kDayS;
  note("a clock jumps", whose);
  (whose == workers_.size() ? coordinator_ahead_s_ : workers_[whose]->wall_ahead_s) = ahead_s;
}

bool SimWorld::all_ended() const {
  if (!coordinator_.up || acknowledged_.size() < static_cast<std::size_t>(profile_.jobs)) return false;
  const auto& jobs = coordinator_.state.durable.jobs;
  return std::all_of(jobs.begin(), jobs.end(), [](const auto& job) { return job.second.ended.has_value(); });
}

std::string SimWorld::why_open(const net::JobName& name) {
  coordinator::Turn turn{coordinator_.state, {now_, 0.0}};
  const auto explanation = coordinator::explain_job(turn, name, *turn.job(name));
  return fmt::format("{}", fmt::join(explanation.lines, "; "));
}

void SimWorld::check_end() {
  if (acknowledged_.size() < static_cast<std::size_t>(profile_.jobs)) return wrong("a submission was never answered");
  for (const auto& [name, job] : coordinator_.state.durable.jobs) {
    if (!job.ended) return wrong(fmt::format("{} never ended: {}", name, why_open(name)));
    if (*job.ended == net::JobState::kDone && name == fmt::format("job-{}", profile_.bad_job)) {
      return wrong(fmt::format("{} is done, although one of its frames fails everywhere", name));
    }
    if (*job.ended != net::JobState::kDone) continue;
    for (const coordinator::ClipRecord& clip : job.clips) {
      std::int64_t next = 0;
      for (const auto& [first, segment] : clip.finished) {
        if (first != next) return wrong(fmt::format("{}: frame {} is missing or there twice", name, next));
        next = segment.last;
      }
      if (next != profile_.clip_frames) return wrong(fmt::format("{}: ends at frame {}", name, next));
    }
  }
}

// ---- network ----

std::vector<Millis> SimWorld::arrivals(const SimWorker& one) {
  if (one.cut) return {};
  std::vector<Millis> out;
  const int copies = faulty() && chance(profile_.duplicates) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (faulty() && chance(profile_.loss)) continue;
    out.emplace_back(1 + below(faulty() ? profile_.delay_ms_max : 5));
  }
  return out;
}

void SimWorld::send_to_coordinator(SimWorker& one, const net::FromWorker& message) {
  for (const Millis delay : arrivals(one)) {
    at(delay, [this, connection = one.connection, message, life = coordinator_.life] {
      if (coordinator_.up && coordinator_.life == life) apply(coordinator::WorkerSaid{connection, message});
    });
  }
}

void SimWorld::send_to_worker(const std::string& connection, const net::ToWorker& message) {
  for (auto& one : workers_) {
    if (one->connection != connection || !one->up) continue;
    for (const Millis delay : arrivals(*one)) {
      at(delay, [this, worker = one.get(), connection, message] {
        if (worker->up && worker->connection == connection) feed(*worker, worker::CoordinatorSaid{message});
      });
    }
  }
}

}  // namespace kiln::sim
