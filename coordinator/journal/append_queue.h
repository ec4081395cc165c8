// What waits to be written: batches of facts, numbered. Its owner guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace kiln::coordinator {

struct FactBatch {
  std::uint64_t first = 0;  // sequence number of its first fact
  std::vector<std::string> facts;
  std::size_t bytes = 0;
  [[nodiscard]] std::uint64_t last() const { return first + facts.size() - 1; }
};

class AppendQueue {
 public:
  AppendQueue(std::size_t facts_max, std::size_t bytes_max) : facts_max_(facts_max), bytes_max_(bytes_max) {}

  [[nodiscard]] bool empty() const { return batches_.empty(); }
  // An empty queue takes any batch.
  [[nodiscard]] bool has_room(std::size_t facts, std::size_t bytes) const {
    return empty() || (facts_ + facts <= facts_max_ && bytes_ + bytes <= bytes_max_);
  }
  void push(FactBatch batch) {
    facts_ += batch.facts.size();
    bytes_ += batch.bytes;
    batches_.push_back(std::move(batch));
  }
  // The oldest batches, whole: a batch is durable at once or not at all. No more than `facts_max` facts, but one batch.
  [[nodiscard]] std::vector<FactBatch> take(std::size_t facts_max) {
    std::vector<FactBatch> taken;
    std::size_t facts = 0;
    while (!empty() && (taken.empty() || facts + batches_.front().facts.size() <= facts_max)) {
      facts += batches_.front().facts.size();
      bytes_ -= batches_.front().bytes;
      taken.push_back(std::move(batches_.front()));
      batches_.pop_front();
    }
    facts_ -= facts;
    return taken;
  }

 private:
  const std::size_t facts_max_;
  const std::size_t bytes_max_;
  std::deque<FactBatch> batches_;
  std::size_t facts_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace kiln::coordinator
