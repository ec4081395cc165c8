// What a worker's processes hold of one card's memory, entry by entry: its lane, and the child that compiles for it. Under a cap, or on a
// small card, both may not fit; then they take turns (compile_turns.cc). No input or output: it is told what begins and ends.
#pragma once

#include <cstdint>

namespace kiln::worker {

// Of a lane's card; stays while the worker runs.
struct CardRoom {
  std::uint64_t bytes = 0;             // that all entries together may be: the cap, or what was free when the worker began
  std::uint64_t context_bytes = 0;     // of a process before it does anything
  std::uint64_t ring_bytes = 0;        // of the lane's frame loop, at most
  std::uint64_t activation_bytes = 0;  // of one run of a network, at most: where nobody says how much
  bool operator==(const CardRoom&) const = default;
};

// What a segment or a compile is expected to take beside the context of its process.
struct CardNeed {
  std::uint64_t weights_bytes = 0;
  std::uint64_t activation_bytes = 0;  // of one run, at the peak; 0: not known
  std::uint64_t lane_bytes = 0;        // of a segment: all of it, buffers too, as tiles were chosen by; 0: not known
  bool operator==(const CardNeed&) const = default;
};

// What a compile child says that it took. 0: it cannot tell.
struct CompileMemory {
  std::uint64_t context_bytes = 0;   // of its process, outside its allocator
  std::uint64_t reserved_bytes = 0;  // of its allocator, at the peak
  bool operator==(const CompileMemory&) const = default;
};

// A compile tries kernels, on copies of what they work on, and runs its library: beyond one run, until a compile there took more.
inline constexpr std::uint64_t kCompileMarginBytes = 256ULL << 20U;

class CardLedger {
 public:
  explicit CardLedger(CardRoom room) : room_(room), child_context_bytes_(room.context_bytes) {}

  // ---- the lane ----
  [[nodiscard]] bool lane_fits() const;  // its process, beside the child as it is now
  [[nodiscard]] bool segment_fits(const CardNeed& need) const;
  void on_lane_started() { lane_bytes_ = within(room_.context_bytes); }
  void on_segment(const CardNeed& need);  // its allocator keeps what it had: the largest counts until the process is gone
  void on_lane_gone() { lane_bytes_ = 0; }

  // ---- the child ----
  [[nodiscard]] bool compile_fits(const CardNeed& need) const;  // beside the lane as it is now
  void on_compile(const CardNeed& need);
  // It rests, with its context. What it said is learned; that its context is smaller than was thought only where it was alone, since what its
  // lane gave back meanwhile is missing there.
  void on_compiled(const CompileMemory& memory);
  void on_child_gone();
  [[nodiscard]] bool child_compiles() const { return compiles_; }

  // ---- the entries ----
  [[nodiscard]] const CardRoom& room() const { return room_; }
  [[nodiscard]] std::uint64_t lane_bytes() const { return lane_bytes_; }
  [[nodiscard]] std::uint64_t child_bytes() const { return child_bytes_; }
  [[nodiscard]] std::uint64_t lane_bytes_with(const CardNeed& segment) const;
  [[nodiscard]] std::uint64_t child_bytes_with(const CardNeed& compile) const;
  [[nodiscard]] bool operator==(const CardLedger&) const = default;

 private:
  // Each process's allocator is held to what the room leaves it.
  [[nodiscard]] std::uint64_t within(std::uint64_t bytes) const { return bytes < room_.bytes ? bytes : room_.bytes; }
  [[nodiscard]] std::uint64_t run_bytes(const CardNeed& need) const;

  CardRoom room_;
  std::uint64_t lane_bytes_ = 0;   // 0: no process
  std::uint64_t child_bytes_ = 0;  // likewise
  bool compiles_ = false;
  bool alone_ = false;             // since the compile began
  std::uint64_t compile_run_bytes_ = 0;
  std::uint64_t child_context_bytes_;  // as it was measured, or assumed to be that of a lane
  std::uint64_t margin_bytes_ = kCompileMarginBytes;
};

}  // namespace kiln::worker
