// The coordinator's shell, made up: a disk that is slow and forgets what it had not written, clients, and a store.
#include <fmt/core.h>

#include "coordinator/durable_snapshot.h"
#include "tests/coordinator/farm_env.h"
#include "tests/sharding/generator_sample.h"
#include "tests/sim/sim_world.h"

namespace kiln::sim {
namespace {

constexpr Millis kTick{50};
constexpr int kEveryGenerates = 4;   // jobs
constexpr int kCancelsOfAny = 200;  // in thousandths
constexpr Millis kAskAgain{3'000};
constexpr Millis kRestartMax{6'000};

net::JobRequest request_of(int number) {
  coordinator::test::JobBuilder job(fmt::format("job-{}", number));
  job.executor(number % 3 == 0 ? "compiled" : "any");
  job.segment_frames(number % 2 == 0 ? 0 : 15);
  if (number % kEveryGenerates != kEveryGenerates - 1) return job.request;
  job.request.kind = net::JobKind::kGenerate;
  job.request.executor = "any";
  job.request.manifest = kiln::test::sample_generator();
  for (net::ClipRequest& clip : job.request.clips) {
    clip.source = {};
    clip.source.path = "shot";
    clip.source.shot = {"a fox", "", 832, 480, 81, 30, 6.0, 0.0, 5.0, "unipc", 7};
  }
  return job.request;
}

}  // namespace

coordinator::Moment SimWorld::moment() const {
  return {now_, kUnixStartS + static_cast<double>(now_.count()) / 1000.0 + static_cast<double>(coordinator_ahead_s_)};
}

// As a start reads a journal: a snapshot of some of its facts, and the facts behind it. It must come to what all facts
// come to.
coordinator::Durable SimWorld::replayed(const std::vector<net::Fact>& facts) {
  const std::size_t cut = facts.size() * 2 / 3;
  coordinator::Durable all;
  coordinator::Durable saved;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (i == cut) {
      auto back = coordinator::decode_durable(coordinator::encode_durable(all), 1);
      if (!back) wrong("a snapshot is not read: " + back.error().message);
      if (back) saved = std::move(*back);
    }
    coordinator::apply_fact(all, facts[i]);
    if (i >= cut) coordinator::apply_fact(saved, facts[i]);
  }
  if (saved != all) wrong("a snapshot gives another state than the facts do");
  return saved;
}

void SimWorld::start_coordinator() {
  note("coordinator starts", static_cast<std::uint64_t>(coordinator_.life));
  SimCoordinator fresh;
  fresh.life = coordinator_.life + 1;
  fresh.up = true;
  fresh.facts = std::move(coordinator_.facts);
  fresh.durable = fresh.facts.size();
  fresh.state.rules.bug = profile_.bug;
  fresh.state.durable = replayed(fresh.facts);
  coordinator::begin_after_replay(fresh.state, moment());
  coordinator_ = std::move(fresh);
  ledger_.rewind(coordinator_.facts);
  ledger_.check_durable(coordinator_.facts);
  for (auto& one : workers_) {
    if (one->up && !one->cut) link(*one, true);
  }
  tick_coordinator();
}

void SimWorld::crash_coordinator() {
  note("coordinator is killed", coordinator_.durable, coordinator_.facts.size());
  coordinator_.up = false;
  coordinator_.facts.resize(coordinator_.durable);
  for (auto& one : workers_) {
    if (one->up) link(*one, false);
  }
  at(Millis(100 + below(kRestartMax.count())), [this] { start_coordinator(); });
}

void SimWorld::tick_coordinator() {
  at(kTick, [this, life = coordinator_.life] {
    if (!coordinator_.up || coordinator_.life != life) return;
    apply(coordinator::Tick{});
    tick_coordinator();
  });
}

void SimWorld::apply(const coordinator::FarmEvent& event) {
  std::vector<coordinator::FarmEffect> effects = coordinator::step(coordinator_.state, event, moment());
  const std::size_t before = coordinator_.facts.size();
  for (coordinator::FarmEffect& effect : effects) {
    if (auto* record = std::get_if<coordinator::Record>(&effect)) {
      ledger_.on_fact(record->fact);
      coordinator_.facts.push_back(std::move(record->fact));
    } else {
      coordinator_.gate.push(coordinator_.facts.size(), std::move(effect));
    }
  }
  if (coordinator_.facts.size() > before) {
    const Millis busy = std::max(coordinator_.disk_busy_until, now_) + Millis(1 + below(profile_.disk_delay_ms_max));
    coordinator_.disk_busy_until = busy;
    at(busy - now_, [this, life = coordinator_.life, count = coordinator_.facts.size()] {
      if (!coordinator_.up || coordinator_.life != life) return;
      if (now_ < journal_full_until_) return crash_coordinator();
      coordinator_.durable = std::max(coordinator_.durable, count);
      carry_out_ready();
    });
  }
  carry_out_ready();
}

void SimWorld::carry_out_ready() {
  for (coordinator::FarmEffect& effect : coordinator_.gate.take(coordinator_.durable)) {
    carry_out(effect);
    if (!dies_here()) continue;
    note("the coordinator dies between two effects");
    return at(Millis{0}, [this, life = coordinator_.life] {
      if (coordinator_.up && coordinator_.life == life) crash_coordinator();
    });
  }
}

void SimWorld::carry_out(coordinator::FarmEffect& effect) {
  if (auto* tell = std::get_if<coordinator::Tell>(&effect)) {
    if (auto* taken = std::get_if<net::ResultTaken>(&tell->message)) ledger_.on_result_taken(taken->task, taken->attempt);
    if (auto* welcome = std::get_if<net::Welcome>(&tell->message)) {
      welcome->epoch = std::to_string(coordinator_.life);
      welcome->store_url = "http://store";
      welcome->expires_unix_s = static_cast<std::int64_t>(moment().unix_s) + kGrantsLastS;
    }
    send_to_worker(tell->connection, tell->message);
  } else if (auto* reply = std::get_if<coordinator::Reply>(&effect)) {
    if (!std::holds_alternative<net::Done>(reply->reply) || !reply->connection.starts_with("submit-")) return;
    const net::JobName job = "job-" + reply->connection.substr(7);
    ledger_.on_acknowledged(job);
    acknowledged_.insert(job);
  } else if (auto* keep = std::get_if<coordinator::KeepBlobs>(&effect)) {
    // The store keeps what it was told before until a job is done. Here it forgets the rest as soon as one has ended.
    const auto job = coordinator_.state.durable.jobs.find(keep->job);
    if (job == coordinator_.state.durable.jobs.end() || job->second.ended) {
      for (auto& [sha256, blob] : blobs_) blob.owners.erase(keep->job);
    }
    for (const std::string& sha256 : keep->sha256) {
      if (blobs_.contains(sha256)) blobs_[sha256].owners.insert(keep->job);
    }
  }
}

// A client sends its files and asks, until it is answered. Nobody keeps them before the job is accepted, but what was just sent,
// or sent again, is not thrown away at once.
void SimWorld::submit(int number) {
  const net::JobRequest request = request_of(number);
  if (acknowledged_.contains(request.job)) return;
  for (const net::PackageFile& file : request.package.files) blobs_[file.blob.sha256].fresh = true;
  for (const net::ClipRequest& clip : request.clips) {
    if (!clip.source.is_shot()) blobs_[clip.source.blob.sha256].fresh = true;
  }
  note("submitted", static_cast<std::uint64_t>(number));
  if (coordinator_.up && !(faulty() && chance(profile_.loss))) {
    apply(coordinator::ClientAsked{fmt::format("submit-{}", number), 1, true, "", net::Submit{request}});
  }
  at(kAskAgain, [this, number] { submit(number); });
}

void SimWorld::cancel_one() {
  if (!coordinator_.up || profile_.jobs < 2) return;
  std::vector<net::JobName> open;  // most jobs have ended at most times, and what has ended is not cancelled
  for (const auto& [name, job] : coordinator_.state.durable.jobs) {
    if (!job.ended) open.push_back(name);
  }
  const bool any = open.empty() || chance(kCancelsOfAny);
  const auto number = below(any ? profile_.jobs : static_cast<std::int64_t>(open.size()));
  const net::JobName name = any ? fmt::format("job-{}", number) : open[static_cast<std::size_t>(number)];
  note("cancelled", static_cast<std::uint64_t>(number));
  apply(coordinator::ClientAsked{"other", 1, true, "", net::ControlJob{name, net::JobVerb::kCancel}});
}

void SimWorld::evict() {
  for (auto entry = blobs_.begin(); entry != blobs_.end();) {
    const bool goes = entry->second.owners.empty() && !entry->second.fresh;
    entry->second.fresh = false;
    entry = goes ? blobs_.erase(entry) : std::next(entry);
  }
}

// What is in memory is what the facts say, and nothing that left rests on a fact that the disk had not.
void SimWorld::check_against_journal() {
  if (!coordinator_.up) return;
  const std::vector<net::Fact> durable(coordinator_.facts.begin(),
                                       coordinator_.facts.begin() + static_cast<std::ptrdiff_t>(coordinator_.durable));
  ledger_.check_durable(durable);
  coordinator::Durable again;
  for (const net::Fact& fact : coordinator_.facts) coordinator::apply_fact(again, fact);
  const coordinator::Durable& live = coordinator_.state.durable;
  if (again.tasks.size() != live.tasks.size() || again.next_task != live.next_task) return wrong("the journal gives other tasks");
  for (const auto& [number, task] : live.tasks) {
    const coordinator::TaskRecord& other = again.tasks.at(number);
    if (other.state != task.state || other.attempt != task.attempt || other.lane != task.lane) {
      return wrong(fmt::format("the journal says something else of task {}", number));
    }
  }
}

}  // namespace kiln::sim
