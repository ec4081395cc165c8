#include "worker/core/card_ledger.h"

#include <algorithm>

namespace kiln::worker {
namespace {

// A measured context beyond so many times the assumed one is somebody else's memory.
constexpr std::uint64_t kContextFactorMost = 2;

}  // namespace

std::uint64_t CardLedger::run_bytes(const CardNeed& need) const {
  return need.weights_bytes + (need.activation_bytes > 0 ? need.activation_bytes : room_.activation_bytes);
}

std::uint64_t CardLedger::lane_bytes_with(const CardNeed& segment) const {
  const std::uint64_t beside_context = segment.lane_bytes > 0 ? segment.lane_bytes : room_.ring_bytes + run_bytes(segment);
  return std::max(lane_bytes_, within(room_.context_bytes + beside_context));
}

std::uint64_t CardLedger::child_bytes_with(const CardNeed& compile) const {
  return within(child_context_bytes_ + run_bytes(compile) + margin_bytes_);
}

bool CardLedger::lane_fits() const { return within(room_.context_bytes) + child_bytes_ <= room_.bytes; }
bool CardLedger::segment_fits(const CardNeed& need) const { return lane_bytes_with(need) + child_bytes_ <= room_.bytes; }
bool CardLedger::compile_fits(const CardNeed& need) const { return lane_bytes_ + child_bytes_with(need) <= room_.bytes; }

void CardLedger::on_segment(const CardNeed& need) {
  lane_bytes_ = lane_bytes_with(need);
}

void CardLedger::on_compile(const CardNeed& need) {
  compiles_ = true;
  alone_ = lane_bytes_ == 0;
  compile_run_bytes_ = run_bytes(need);
  child_bytes_ = child_bytes_with(need);
}

void CardLedger::on_compiled(const CompileMemory& memory) {
  compiles_ = false;
  if (memory.reserved_bytes > compile_run_bytes_) margin_bytes_ = std::max(margin_bytes_, memory.reserved_bytes - compile_run_bytes_);
  const std::uint64_t context_bytes = std::min(memory.context_bytes, kContextFactorMost * room_.context_bytes);
  if (context_bytes > child_context_bytes_ || (context_bytes > 0 && alone_ && lane_bytes_ == 0)) child_context_bytes_ = context_bytes;
  child_bytes_ = within(child_context_bytes_);
}

void CardLedger::on_child_gone() {
  compiles_ = false;
  child_bytes_ = 0;
}

}  // namespace kiln::worker
