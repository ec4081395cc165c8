// What this host is, as far as artifacts depend on it, found in milliseconds and without importing torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sharding/compile_key.h"
#include "sharding/isa_level.h"

namespace kiln::worker {

struct HostResources {
  unsigned cores = 1;              // that this process may use (affinity, cgroup quotas)
  std::uint64_t memory_bytes = 0;  // of the host, or of a cgroup where that is less
  std::uint64_t memory_available_bytes = 0;
};

// Names the cores that this process may use: processes of one machine that may use the same ones get the same name.
// `quota_group`: empty, or what tells apart those that a quota gives a part of them.
[[nodiscard]] std::string cores_name(std::string_view machine, const std::vector<int>& cores, std::string_view quota_group);
[[nodiscard]] std::string probe_cores_name(const std::vector<int>& cores);

[[nodiscard]] sharding::IsaLevel host_isa_level();
[[nodiscard]] HostResources probe_resources();

// What a compile child may use: what was asked for, and never more than half of the memory. Compiling must not push
// rendering lanes into swap.
[[nodiscard]] std::uint64_t compile_memory_limit_bytes(const HostResources& resources, std::uint64_t asked_bytes);

struct ToolchainFiles {
  std::string torch_folder;    // …/site-packages/torch of the interpreter
  std::string package_folder;  // holds kiln_compile/, whose sources are part of the identity
  std::string compiler = "g++";
  bool for_cards = false;  // names the CUDA and the Triton of that torch too
};

// The CUDA that the torch in that folder is built for, "13.0"; empty: none. nullopt: no torch is there.
[[nodiscard]] std::optional<std::string> torch_cuda(const std::string& torch_folder);

// The version and the commit of that torch; empty: none is there.
[[nodiscard]] std::string torch_build(const std::string& torch_folder);

// Identity of who would compile here. kNotFound when there is no compiler or no torch: graphs then run
// uncompiled, and the message says what to install.
[[nodiscard]] Result<sharding::Toolchain> probe_toolchain(const ToolchainFiles& files);

}  // namespace kiln::worker
