// A worker's core with a clock of the test's own; effects are remembered as words.
#pragma once

#include <fmt/core.h>

#include <string>
#include <vector>

#include "worker/core/worker_step.h"

namespace kiln::worker {

// One word an effect: "prepare 7#1 on 0", "send done 7#1".
std::string word(const WorkerEffect& effect);

class WorkerRig {
 public:
  explicit WorkerRig(int lanes, WorkerRules rules = {});
  // A lane on a card of each of these.
  WorkerRig(const std::vector<CardRoom>& rooms, int compiles_at_once, WorkerRules rules = {});

  std::vector<std::string> tell(const WorkerEvent& event);
  std::vector<std::string> say(const net::ToWorker& message);
  std::vector<std::string> wait(WorkerTime time);  // and a tick
  // Connected, welcomed, lanes up.
  void settle_in();

  static net::Welcome welcome(const std::string& epoch, std::int64_t expires_unix_s = 0);
  static net::Assign segment(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane,
                             const std::string& artifact = {}, const std::string& executor = "any");
  static net::Assign compile(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane = 0, std::uint64_t activation_bytes = 0);
  static net::Assign join(std::uint64_t task, std::uint32_t attempt, std::uint32_t lane);

  // From assigned to running.
  void run(const net::Assign& assign);

  [[nodiscard]] const WorkerState& state() const { return state_; }
  [[nodiscard]] const std::vector<WorkerEffect>& effects() const { return effects_; }  // of the last event

 private:
  WorkerState state_;
  std::vector<WorkerEffect> effects_;
  WorkerMoment now_{WorkerTime{1'000'000}, 1'800'000'000};
};

}  // namespace kiln::worker
