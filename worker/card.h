// One graphics card of this host, as its driver describes it. No CUDA here: lanes have that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/farm_values.h"

namespace kiln::worker {

struct ComputeCapability {
  int major = 0;
  int minor = 0;
  auto operator<=>(const ComputeCapability&) const = default;
};

// A version of CUDA; 0.0: not known.
struct CudaVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const CudaVersion&) const = default;
};

struct PciPlace {
  unsigned domain = 0;
  unsigned bus = 0;
  unsigned device = 0;
  bool operator==(const PciPlace&) const = default;
};

struct Card {
  unsigned index = 0;  // in PCI bus order, over all cards that the driver shows
  std::string uuid;    // "GPU-6c5d…"
  std::string name;    // "NVIDIA H100 80GB HBM3"
  PciPlace pci;
  ComputeCapability capability;
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;      // when it was looked at
  std::uint64_t reserved_bytes = 0;  // by the driver
  unsigned link_generation = 0;      // the highest that card and slot can do: an idle card goes down; 0: not known
  unsigned link_width = 0;           // lanes as they are; 0: not known
  int numa_node = -1;                // -1: not known
  std::vector<int> cores;            // those of its NUMA node that this process may use; empty: not known, or all
  net::CardSpeed speed;              // as it was measured here
  std::uint64_t context_bytes = 0;   // of its memory, that a lane takes before it does anything; 0: not measured
  std::vector<std::string> encoders{};  // its own, found by trying them: "hevc_nvenc p010le"
};

// All that the driver shows.
struct CardList {
  std::string driver;        // "580.95.05"
  CudaVersion cuda;          // the newest that the driver can run
  std::vector<Card> cards;
};

}  // namespace kiln::worker
