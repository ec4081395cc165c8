// What a worker says of itself: its lanes, what they can do, and who compiles here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/farm_worker_messages.h"
#include "sharding/compile_key.h"
#include "worker/card_probe.h"
#include "worker/host_probe.h"

namespace kiln::worker {

struct WorkerCapability {
  std::string name;
  std::string pool;
  int lanes = 1;
  int threads_per_lane = 0;        // 0: an equal share of the cores
  std::uint64_t memory_cap_bytes = 0;  // of one lane's activations; 0: a fixed share of the host's, or of the card's
  std::optional<Card> card;        // absent: CPU lanes
  HostResources host;
  sharding::IsaLevel isa = sharding::IsaLevel::kNone;
  std::optional<sharding::Toolchain> toolchain;  // absent: nothing is compiled here
};

// Without what is new at each start: instance and keys. Pure.
[[nodiscard]] net::WorkerHello worker_hello(const WorkerCapability& capability);
[[nodiscard]] int lane_threads(const WorkerCapability& capability);
// Names two toolchains that make the same artifacts alike.
[[nodiscard]] std::string toolchain_digest(const sharding::Toolchain& toolchain);

// 1–64 of [A-Za-z0-9._-]; other characters of a host's name become '-'.
[[nodiscard]] bool is_worker_name(std::string_view name);
[[nodiscard]] std::string default_worker_name();

}  // namespace kiln::worker
