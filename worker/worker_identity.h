// What a worker says of itself: its lanes, what they can do, and who compiles here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/farm_worker_messages.h"
#include "sharding/compile_key.h"
#include "worker/card.h"
#include "worker/host_probe.h"
#include "worker/lane_place.h"

namespace kiln::worker {

struct WorkerCapability {
  std::string name;
  std::string pool;
  int lanes = 1;                   // of the CPU: each card has one
  int threads_per_lane = 0;        // 0: an equal share of the cores
  std::uint64_t memory_cap_bytes = 0;  // of a CPU lane's activations; 0: a fixed share of the host's
  std::uint64_t vram_cap_bytes = 0;    // of all that a lane holds on its card; 0: what is free there
  std::string driver;              // of the cards
  CudaVersion driver_cuda;
  std::vector<Card> cards;         // a lane on each; none: CPU lanes
  HostResources host;
  std::string cores_name;          // of those that host.cores counts; empty: not known
  sharding::IsaLevel isa = sharding::IsaLevel::kNone;
  std::optional<sharding::Toolchain> toolchain;  // absent: nothing is compiled here
};

// Without what is new at each start: instance and keys. Pure.
[[nodiscard]] net::WorkerHello worker_hello(const WorkerCapability& capability);
// Of the lanes in that hello, in its order.
[[nodiscard]] std::vector<LanePlace> lane_places(const WorkerCapability& capability);
[[nodiscard]] int lane_count(const WorkerCapability& capability);
// Of a card's memory, what a lane may have beside its process: weights, buffers and activations. What is free, or the cap if that is
// less, without the process and a reserve. In whole kBudgetGrain, so that equal cards offer the same. 0: there is no room.
inline constexpr std::uint64_t kBudgetGrain = 64ULL << 20U;
[[nodiscard]] std::uint64_t card_budget_bytes(const Card& card, std::uint64_t cap_bytes);
// What is left of the cap, beside a process's context, for an allocator on that card, as a part of its memory. 1: there is no cap.
[[nodiscard]] double memory_fraction(const Card& card, std::uint64_t cap_bytes);
// Names two toolchains that make the same artifacts alike.
[[nodiscard]] std::string toolchain_digest(const sharding::Toolchain& toolchain);

// 1–64 of [A-Za-z0-9._-]; other characters of a host's name become '-'.
[[nodiscard]] bool is_worker_name(std::string_view name);
[[nodiscard]] std::string default_worker_name();

}  // namespace kiln::worker
