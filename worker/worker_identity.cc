#include "worker/worker_identity.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/sha256.h"
#include "sharding/output_plan.h"
#include "sharding/ring_sizes.h"
#include "worker/card_probe.h"

namespace kiln::worker {
namespace {

constexpr std::size_t kNameCharsMax = 64;
// The context of a lane with LibTorch's libraries: 600 and 700 MiB were seen on H100s of two drivers. This where nobody measured it.
constexpr std::uint64_t kContextBytes = 600ULL << 20U;
// Of a card's memory, for what programs that come later take of it; and of a cap, which is the lane's own, for what no estimate knows.
constexpr std::uint64_t kOthersDenominator = 20;
constexpr std::uint64_t kUnknownDenominator = 40;

// In whole grains: measurements of equal cards are a few MiB apart.
std::uint64_t context_bytes(const Card& card) {
  return std::max(kContextBytes, (card.context_bytes + kBudgetGrain - 1) / kBudgetGrain * kBudgetGrain);
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

std::uint64_t activation_bytes(const WorkerCapability& capability) {
  if (capability.memory_cap_bytes > 0) return capability.memory_cap_bytes;
  return sharding::plan_activation_bytes(capability.host.memory_bytes, static_cast<int>(capability.host.cores));
}

net::CardFacts card_facts(const WorkerCapability& capability, const Card& card) {
  net::CardFacts out;
  out.index = card.index;
  out.uuid = card.uuid;
  out.pci = pci_name(card.pci);
  out.driver = capability.driver;
  out.cuda = to_string(capability.driver_cuda);
  out.memory_bytes = card.memory_bytes;
  out.free_bytes = card.free_bytes;
  out.reserved_bytes = card.reserved_bytes;
  out.fp8 = has_fp8(card.capability);
  out.link_generation = card.link_generation;
  out.link_width = card.link_width;
  out.numa_node = card.numa_node;
  out.speed = card.speed;
  out.context_bytes = card.context_bytes;
  out.encoders = card.encoders;
  return out;
}

net::LaneOffer card_offer(const WorkerCapability& capability, const Card& card) {
  net::LaneOffer offer;
  offer.kind.isa = to_string(capability.isa);
  offer.kind.arch = arch_name(card.capability);
  if (capability.toolchain) offer.kind.toolchain = toolchain_digest(*capability.toolchain);
  offer.kind.device_name = card.name;
  offer.budget_bytes = card_budget_bytes(card, capability.vram_cap_bytes);
  offer.card = card_facts(capability, card);
  offer.generates = true;
  return offer;
}

net::LaneOffer cpu_offer(const WorkerCapability& capability, int threads) {
  net::LaneOffer offer;
  offer.kind.isa = to_string(capability.isa);
  offer.kind.threads = threads;
  if (capability.toolchain) offer.kind.toolchain = toolchain_digest(*capability.toolchain);
  offer.budget_bytes = activation_bytes(capability);
  offer.generates = true;
  return offer;
}

// Lanes that are pinned to the same cores share these; a quota of the whole host holds as well.
int share_of_cores(const WorkerCapability& capability, const Card& card) {
  const auto cores = static_cast<int>(capability.host.cores);
  const int of_host = cores / lane_count(capability);
  if (card.cores.empty()) return std::max(1, of_host);
  const auto sharers = std::count_if(capability.cards.begin(), capability.cards.end(),
                                     [&](const Card& other) { return other.cores == card.cores; });
  const auto of_node = static_cast<int>(card.cores.size()) / std::max(1, static_cast<int>(sharers));
  return std::max(1, std::min(of_host, of_node));
}

}  // namespace

int lane_count(const WorkerCapability& capability) {
  return capability.cards.empty() ? capability.lanes : static_cast<int>(capability.cards.size());
}

std::uint64_t card_budget_bytes(const Card& card, std::uint64_t cap_bytes) {
  const std::uint64_t whole = cap_bytes == 0 ? card.memory_bytes : std::min(card.memory_bytes, cap_bytes);
  const bool capped = cap_bytes > 0 && cap_bytes < card.memory_bytes;
  const std::uint64_t reserve = context_bytes(card) + whole / (capped ? kUnknownDenominator : kOthersDenominator);
  const std::uint64_t free = std::min(whole, card.free_bytes);
  return free <= reserve ? 0 : (free - reserve) / kBudgetGrain * kBudgetGrain;
}

double memory_fraction(const Card& card, std::uint64_t cap_bytes) {
  if (cap_bytes == 0 || cap_bytes >= card.memory_bytes) return 1.0;
  const std::uint64_t context = context_bytes(card);
  const std::uint64_t allocator_bytes = cap_bytes > context ? cap_bytes - context : 0;
  return static_cast<double>(allocator_bytes) / static_cast<double>(card.memory_bytes);
}

std::vector<LanePlace> lane_places(const WorkerCapability& capability) {
  const auto cores = static_cast<int>(capability.host.cores);
  const int lanes = lane_count(capability);
  const int threads = sharding::plan_lane_threads(cores, lanes, capability.threads_per_lane).threads;
  if (capability.cards.empty()) {
    return std::vector<LanePlace>(static_cast<std::size_t>(lanes),
                                  LanePlace{"cpu", "", {}, threads, std::max(1, cores / lanes), 1});
  }
  std::vector<LanePlace> places;
  for (const Card& card : capability.cards) {
    const int share = share_of_cores(capability, card);
    const int encoder_threads = std::clamp(share, 1, kEncoderThreadsMax);
    const int encoders = std::clamp(share / encoder_threads, 1, kEncodersMax);
    LanePlace place{"cuda:0", card.uuid, card.cores, std::min(threads, std::max(1, share)), encoder_threads, encoders};
    place.memory_fraction = memory_fraction(card, capability.vram_cap_bytes);
    place.context_bytes = card.context_bytes > 0 ? card.context_bytes : kContextBytes;
    place.ring_bytes = sharding::ring_limit_bytes(card_budget_bytes(card, capability.vram_cap_bytes));
    places.push_back(std::move(place));
  }
  return places;
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
  const std::vector<LanePlace> places = lane_places(capability);
  net::WorkerHello hello;
  hello.worker = capability.name;
  hello.pool = capability.pool;
  hello.cores = static_cast<int>(capability.host.cores);
  hello.host = capability.cores_name;
  hello.memory_bytes = capability.host.memory_bytes;
  for (std::size_t i = 0; i < places.size(); ++i) {
    net::LaneOffer offer = capability.cards.empty() ? cpu_offer(capability, places[i].threads)
                                                    : card_offer(capability, capability.cards[i]);
    offer.lane.value = static_cast<std::uint32_t>(i);
    offer.encoder_threads = places[i].encoder_threads;
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
