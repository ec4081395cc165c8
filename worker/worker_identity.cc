#include "worker/worker_identity.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/sha256.h"
#include "sharding/output_plan.h"

namespace kiln::worker {
namespace {

constexpr std::size_t kNameCharsMax = 64;
// Of a card's memory: the rest is context, weights and what its drivers keep.
constexpr std::uint64_t kCardShareNumerator = 7;
constexpr std::uint64_t kCardShareDenominator = 10;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::uint64_t budget_bytes(const WorkerCapability& capability) {
  if (capability.memory_cap_bytes > 0) return capability.memory_cap_bytes;
  if (capability.card) return capability.card->memory_bytes / kCardShareDenominator * kCardShareNumerator;
  return sharding::plan_activation_bytes(capability.host.memory_bytes, static_cast<int>(capability.host.cores));
}

net::LaneClass lane_class(const WorkerCapability& capability, int threads) {
  net::LaneClass out;
  out.isa = to_string(capability.isa);
  if (capability.toolchain) out.toolchain = toolchain_digest(*capability.toolchain);
  if (capability.card) {
    out.arch = capability.card->arch;
    out.device_name = capability.card->name;
    return out;
  }
  out.threads = threads;
  return out;
}

}  // namespace

int lane_threads(const WorkerCapability& capability) {
  return sharding::plan_lane_threads(static_cast<int>(capability.host.cores), capability.lanes,
                                     capability.threads_per_lane)
      .threads;
}

std::string toolchain_digest(const sharding::Toolchain& toolchain) {
  Sha256 hash;
  for (const std::string* field : {&toolchain.torch_version, &toolchain.torch_git, &toolchain.cuda, &toolchain.triton,
                                   &toolchain.compiler, &toolchain.libc, &toolchain.recipe_sha256}) {
    hash.update(fmt::format("{}:{}\n", field->size(), *field));
  }
  return hash.finish().hex();
}

net::WorkerHello worker_hello(const WorkerCapability& capability) {
  const auto cores = static_cast<int>(capability.host.cores);
  const int threads = lane_threads(capability);
  net::WorkerHello hello;
  hello.worker = capability.name;
  hello.pool = capability.pool;
  hello.cores = cores;
  hello.memory_bytes = capability.host.memory_bytes;
  for (int i = 0; i < capability.lanes; ++i) {
    net::LaneOffer offer;
    offer.lane.value = static_cast<std::uint32_t>(i);
    offer.kind = lane_class(capability, threads);
    offer.budget_bytes = budget_bytes(capability);
    offer.encoder_threads = std::max(1, cores / capability.lanes);
    hello.lanes.push_back(std::move(offer));
  }
  if (!capability.toolchain) return hello;
  const sharding::Toolchain& toolchain = *capability.toolchain;
  hello.compiles = true;
  hello.toolchain = {toolchain.torch_version, toolchain.torch_git, toolchain.cuda,         toolchain.triton,
                     toolchain.compiler,      toolchain.libc,      toolchain.recipe_sha256};
  return hello;
}

bool is_worker_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameCharsMax && std::all_of(name.begin(), name.end(), &is_name_character);
}

std::string default_worker_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') return "worker";
  std::string name(host.data());
  std::replace_if(name.begin(), name.end(), [](char c) { return !is_name_character(c); }, '-');
  return name.substr(0, kNameCharsMax);
}

}  // namespace kiln::worker
