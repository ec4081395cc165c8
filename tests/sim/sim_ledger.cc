#include "tests/sim/sim_ledger.h"

#include <fmt/core.h>

namespace kiln::sim {

void SimLedger::on_fact(const net::Fact& fact) {
  std::visit([&](const auto& body) { on(body); }, fact);
}

void SimLedger::rewind(const std::vector<net::Fact>& durable) {
  tasks_.clear();
  cancelled_.clear();
  for (const net::Fact& fact : durable) on_fact(fact);
}

void SimLedger::on(const net::Assigned& fact) {
  TaskView& task = tasks_[fact.task];
  task.kind = fact.kind;
  task.job = fact.job;
  if (task.running) wrong(fmt::format("task {} was given out while it runs", fact.task));
  if (task.done) wrong(fmt::format("task {} was given out although it is done", fact.task));
  if (fact.attempt.value <= task.attempt) wrong(fmt::format("task {}: attempt {} after {}", fact.task, fact.attempt.value, task.attempt));
  if (fact.attempt.value > kAttemptsMax) wrong(fmt::format("task {} is tried for ever", fact.task));
  if (cancelled_.contains(fact.job) && fact.kind != net::TaskKind::kCompile) {
    wrong(fmt::format("task {} of the cancelled job {} was given out", fact.task, fact.job));
  }
  task.attempt = fact.attempt.value;
  task.running = true;
}

void SimLedger::on(const net::ResultAccepted& fact) {
  TaskView& task = tasks_[fact.task];
  if (task.done) wrong(fmt::format("task {} is done twice", fact.task));
  if (fact.attempt.value != task.attempt) {
    wrong(fmt::format("task {}: the result of attempt {} was taken, {} runs", fact.task, fact.attempt.value, task.attempt));
  }
  task.running = false;
  task.done = true;
}

void SimLedger::on(const net::AttemptEnded& fact) {
  TaskView& task = tasks_[fact.task];
  task.running = false;
  task.given_back += fact.fault.message == "its worker is ending" ? 1 : 0;
  if (task.given_back > kGivenBackMax) wrong(fmt::format("task {} is given to workers that are ending", fact.task));
}

void SimLedger::on(const net::JobControlled& fact) {
  if (fact.verb == net::JobVerb::kCancel) cancelled_.insert(fact.job);
  if (fact.verb == net::JobVerb::kRetry) cancelled_.erase(fact.job);
  if (fact.verb != net::JobVerb::kCancel) return;
  for (auto& [number, task] : tasks_) {
    if (task.job == fact.job && task.kind != net::TaskKind::kCompile) task.running = false;
  }
}

void SimLedger::on(const net::JobEnded& fact) {
  if (fact.state == net::JobState::kDone) return;
  for (auto& [number, task] : tasks_) {
    if (task.job == fact.job && task.kind != net::TaskKind::kCompile) task.running = false;
  }
}

void SimLedger::on_result_taken(std::uint64_t task, Attempt attempt) { taken_.insert({task, attempt.value}); }

// A worker that is told "taken" forgets its result: unless the journal holds it, or knows that it was late, it is lost.
void SimLedger::check_durable(const std::vector<net::Fact>& durable) {
  std::set<net::JobName> jobs;
  std::map<std::uint64_t, std::uint32_t> latest;
  std::set<std::pair<std::uint64_t, std::uint32_t>> ended;
  for (const net::Fact& fact : durable) {
    if (const auto* accepted = std::get_if<net::JobAccepted>(&fact)) jobs.insert(accepted->request.job);
    if (const auto* assigned = std::get_if<net::Assigned>(&fact)) latest[assigned->task] = assigned->attempt.value;
    if (const auto* result = std::get_if<net::ResultAccepted>(&fact)) ended.insert({result->task, result->attempt.value});
    if (const auto* over = std::get_if<net::AttemptEnded>(&fact)) ended.insert({over->task, over->attempt.value});
    if (const auto* control = std::get_if<net::JobControlled>(&fact)) {
      for (const auto& [number, view] : tasks_) {
        if (view.job == control->job) ended.insert({number, view.attempt});
      }
    }
    if (const auto* over = std::get_if<net::JobEnded>(&fact)) {
      for (const auto& [number, view] : tasks_) {
        if (view.job == over->job) ended.insert({number, view.attempt});
      }
    }
  }
  for (const net::JobName& job : acknowledged_jobs_) {
    if (!jobs.contains(job)) wrong(fmt::format("{} was acknowledged and is not in the journal", job));
  }
  for (const auto& [task, attempt] : taken_) {
    const auto found = latest.find(task);
    const bool late = found != latest.end() && found->second > attempt;
    if (!late && !ended.contains({task, attempt})) {
      wrong(fmt::format("the result of task {}, attempt {} was acknowledged and is not in the journal", task, attempt));
    }
  }
}

}  // namespace kiln::sim
