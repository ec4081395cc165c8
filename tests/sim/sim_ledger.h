// Looks at the facts as they become durable and at what leaves the coordinator, and says what must never happen.
#pragma once

#include <map>
#include <set>
#include <string>

#include "coordinator/core/farm_step.h"

namespace kiln::sim {

// Attempts of one task beyond this mean that nobody gives up.
inline constexpr std::uint32_t kAttemptsMax = 60;
// So often may workers that are ending give one task back; one that is given it again and again would make it fail.
inline constexpr int kGivenBackMax = 5;

class SimLedger {
 public:
  // Every fact, in order, when the coordinator made it.
  void on_fact(const net::Fact& fact);
  // The journal lost what came after `count` facts: the coordinator was killed before the disk had them.
  void rewind(const std::vector<net::Fact>& durable);
  // Left the coordinator, for good.
  void on_acknowledged(const net::JobName& job) { acknowledged_jobs_.insert(job); }
  void on_result_taken(std::uint64_t task, Attempt attempt);
  // What the durable facts say must contain what was acknowledged.
  void check_durable(const std::vector<net::Fact>& durable);
  [[nodiscard]] const std::string& violation() const { return violation_; }

 private:
  struct TaskView {
    net::TaskKind kind = net::TaskKind::kNoop;
    net::JobName job;
    std::uint32_t attempt = 0;
    int given_back = 0;
    bool running = false;
    bool done = false;
  };
  void wrong(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }
  void on(const net::Assigned& fact);
  void on(const net::ResultAccepted& fact);
  void on(const net::AttemptEnded& fact);
  void on(const net::JobControlled& fact);
  void on(const net::JobEnded& fact);
  template <typename Other>
  void on(const Other&) {}

  std::map<std::uint64_t, TaskView> tasks_;
  std::set<net::JobName> cancelled_;
  std::set<net::JobName> acknowledged_jobs_;
  std::set<std::pair<std::uint64_t, std::uint32_t>> taken_;  // told to workers: they forgot these results
  std::string violation_;
};

}  // namespace kiln::sim
