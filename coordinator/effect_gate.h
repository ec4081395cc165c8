// Holds back what rests on a fact until the journal has it. Effects leave in the order in which they came; one that
// waits holds back all behind it.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "coordinator/core/farm_step.h"

namespace kiln::coordinator {

// One owner thread.
class EffectGate {
 public:
  // `after`: the journal's sequence number that must be durable first; 0: nothing.
  void push(std::uint64_t after, FarmEffect effect) { waiting_.emplace_back(after, std::move(effect)); }

  // What may be carried out now.
  [[nodiscard]] std::vector<FarmEffect> take(std::uint64_t durable) {
    std::vector<FarmEffect> out;
    while (!waiting_.empty() && waiting_.front().first <= durable) {
      out.push_back(std::move(waiting_.front().second));
      waiting_.pop_front();
    }
    return out;
  }
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  std::deque<std::pair<std::uint64_t, FarmEffect>> waiting_;
};

}  // namespace kiln::coordinator
