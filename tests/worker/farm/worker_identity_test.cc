#include "worker/worker_identity.h"

#include <gtest/gtest.h>

#include "sharding/ring_sizes.h"

namespace kiln::worker {
namespace {

WorkerCapability capability() {
  WorkerCapability out;
  out.name = std::string("host-a");
  out.lanes = 2;
  out.host = {8, 64ULL << 30U, 60ULL << 30U};
  out.isa = sharding::IsaLevel::kAvx2;
  out.toolchain = sharding::Toolchain{"2.11.0", "git", "", "", "g++ 12", "glibc 2.36", "recipe"};
  return out;
}

TEST(WorkerIdentityTest, LanesShareCoresAndMemory) {
  const net::WorkerHello hello = worker_hello(capability());
  ASSERT_EQ(hello.lanes.size(), 2U);
  EXPECT_EQ(hello.lanes[0].kind, hello.lanes[1].kind);
  EXPECT_EQ(hello.lanes[0].kind.threads, 4);
  EXPECT_EQ(hello.lanes[0].kind.isa, "avx2");
  EXPECT_EQ(hello.lanes[0].budget_bytes, (64ULL << 30U) / 2 / 8);  // free memory of the moment has no part in it
  EXPECT_TRUE(hello.compiles);
  EXPECT_EQ(hello.toolchain.torch_git, "git");
}

TEST(WorkerIdentityTest, CapIsTheBudget) {
  WorkerCapability small = capability();
  small.memory_cap_bytes = 1U << 20U;
  EXPECT_EQ(worker_hello(small).lanes[0].budget_bytes, 1U << 20U);
}

TEST(WorkerIdentityTest, WithoutToolchainNothingIsCompiled) {
  WorkerCapability plain = capability();
  plain.toolchain.reset();
  EXPECT_FALSE(worker_hello(plain).compiles);
  EXPECT_TRUE(worker_hello(plain).lanes[0].kind.toolchain.empty());
  EXPECT_NE(worker_hello(plain).lanes[0].kind, worker_hello(capability()).lanes[0].kind);
}

Card card(unsigned index, std::string name, ComputeCapability capability, std::uint64_t mib) {
  Card out;
  out.index = index;
  out.uuid = fmt::format("GPU-{}", index);
  out.name = std::move(name);
  out.capability = capability;
  out.memory_bytes = mib << 20U;
  out.free_bytes = out.memory_bytes;
  return out;
}

WorkerCapability with_cards(std::vector<Card> cards) {
  WorkerCapability out = capability();
  out.lanes = 1;
  out.toolchain.reset();
  out.driver = "580.95.05";
  out.driver_cuda = {13, 0};
  out.cards = std::move(cards);
  return out;
}

TEST(WorkerIdentityTest, EachCardIsALaneOfItsOwnKind) {
  const auto hello = worker_hello(with_cards({card(0, "NVIDIA H100 80GB HBM3", {9, 0}, 80'000),
                                              card(2, "NVIDIA GeForce RTX 3060", {8, 6}, 12'288)}));
  ASSERT_EQ(hello.lanes.size(), 2U);
  const net::LaneOffer& large = hello.lanes[0];
  EXPECT_EQ(large.kind.arch, "sm_90");
  EXPECT_EQ(large.kind.device_name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(large.kind.threads, 0);
  EXPECT_EQ(large.encoder_threads, 4);
  EXPECT_EQ(large.card.uuid, "GPU-0");
  EXPECT_EQ(large.card.driver, "580.95.05");
  EXPECT_EQ(large.card.cuda, "13.0");
  EXPECT_TRUE(large.card.fp8);
  const net::LaneOffer& small = hello.lanes[1];
  EXPECT_EQ(small.lane.value, 1U);
  EXPECT_EQ(small.kind.arch, "sm_86");
  EXPECT_EQ(small.card.index, 2U);
  EXPECT_FALSE(small.card.fp8);
  EXPECT_LT(small.budget_bytes, large.budget_bytes);
}

TEST(WorkerIdentityTest, LanesOnCardsOfEveryKindAreCompiledFor) {
  WorkerCapability mixed = with_cards({card(0, "a", {9, 0}, 1), card(1, "b", {8, 6}, 1), card(2, "a", {9, 0}, 1)});
  mixed.toolchain = capability().toolchain;
  const auto hello = worker_hello(mixed);
  EXPECT_EQ(hello.lanes[0].kind.toolchain, toolchain_digest(*mixed.toolchain));
  EXPECT_EQ(hello.lanes[0].kind, hello.lanes[2].kind);
  EXPECT_EQ(hello.lanes[1].kind.toolchain, toolchain_digest(*mixed.toolchain));
}

TEST(WorkerIdentityTest, CardsBudgetIsWhatIsFreeOrTheCapLessProcessAndReserve) {
  struct Row {
    std::uint64_t total, free, cap, budget;  // MiB
  };
  // A twentieth of the card is others', a fortieth of a cap is not known.
  for (const Row& row : {Row{80'000, 80'000, 0, 75'392}, Row{80'000, 79'990, 0, 75'328}, Row{80'000, 30'000, 0, 25'344},
                         Row{80'000, 4'600, 0, 0}, Row{80'000, 100, 0, 0}, Row{80'000, 80'000, 2'048, 1'344},
                         Row{80'000, 1'500, 2'048, 832}, Row{2'048, 2'048, 80'000, 1'344}, Row{80'000, 80'000, 64, 0}}) {
    Card one = card(0, "card", {9, 0}, row.total);
    one.free_bytes = row.free << 20U;
    EXPECT_EQ(card_budget_bytes(one, row.cap << 20U) >> 20U, row.budget) << row.total << " " << row.free << " " << row.cap;
  }
  Card measured = card(0, "card", {9, 0}, 80'000);
  for (const std::uint64_t context : {680, 699, 704}) {  // few MiB make no other budget
    measured.context_bytes = context << 20U;
    EXPECT_EQ(card_budget_bytes(measured, 2'048ULL << 20U) >> 20U, 1'280U) << context;
    EXPECT_NEAR(memory_fraction(measured, 2'048ULL << 20U), (2'048.0 - 704.0) / 80'000.0, 1e-9);
  }
  measured.context_bytes = 300ULL << 20U;  // never less than where nobody measured
  EXPECT_EQ(card_budget_bytes(measured, 2'048ULL << 20U) >> 20U, 1'344U);
  WorkerCapability capped = with_cards({card(0, "card", {9, 0}, 80'000)});
  capped.memory_cap_bytes = 1U << 20U;  // is of CPU lanes
  capped.vram_cap_bytes = 2ULL << 30U;
  EXPECT_EQ(worker_hello(capped).lanes[0].budget_bytes, 1'344ULL << 20U);
}

TEST(WorkerIdentityTest, TheCapHoldsForTheAllocatorAndTheRings) {
  WorkerCapability capped = with_cards({card(0, "card", {9, 0}, 80'000)});
  const auto rings = [&] { return lane_places(capped)[0].ring_bytes; };
  EXPECT_EQ(lane_places(capped)[0].memory_fraction, 1.0);
  EXPECT_EQ(rings(), sharding::ring_limit_bytes(75'392ULL << 20U));  // the part that tiles are chosen with
  capped.vram_cap_bytes = 2ULL << 30U;
  EXPECT_NEAR(lane_places(capped)[0].memory_fraction, (2'048.0 - 600.0) / 80'000.0, 1e-9);
  EXPECT_EQ(rings(), sharding::ring_limit_bytes(1'344ULL << 20U));
  capped.vram_cap_bytes = 100ULL << 20U;
  EXPECT_EQ(lane_places(capped)[0].memory_fraction, 0.0);
  EXPECT_EQ(rings(), 1U);  // 0 would be anything
  capped.vram_cap_bytes = 100ULL << 30U;
  EXPECT_EQ(lane_places(capped)[0].memory_fraction, 1.0);
}

TEST(WorkerIdentityTest, LanesOfCardsSeeOneCardAndShareTheCoresOfItsNode) {
  std::vector<Card> cards = {card(0, "a", {9, 0}, 1), card(1, "a", {9, 0}, 1), card(2, "a", {9, 0}, 1)};
  cards[0].cores = cards[1].cores = {0, 1, 2};
  const auto places = lane_places(with_cards(cards));
  ASSERT_EQ(places.size(), 3U);
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[i].device, "cuda:0");
    EXPECT_EQ(places[i].card_uuid, cards[i].uuid);
    EXPECT_EQ(places[i].cores, cards[i].cores);
  }
  EXPECT_EQ(places[0].encoder_threads, 1);  // three cores for two lanes
  EXPECT_EQ(places[0].threads, 1);
  EXPECT_EQ(places[2].encoder_threads, 2);  // eight cores for three lanes, and no node is known
  const auto of_cpu = lane_places(capability());
  ASSERT_EQ(of_cpu.size(), 2U);
  EXPECT_EQ(of_cpu[1].device, "cpu");
  EXPECT_TRUE(of_cpu[1].card_uuid.empty());
  EXPECT_EQ(of_cpu[1].threads, 4);
}

TEST(WorkerIdentityTest, ToolchainsThatDifferInAnythingHaveOtherDigests) {
  const sharding::Toolchain one = *capability().toolchain;
  sharding::Toolchain other = one;
  EXPECT_EQ(toolchain_digest(one), toolchain_digest(other));
  other.libc = "glibc 2.37";
  EXPECT_NE(toolchain_digest(one), toolchain_digest(other));
}

TEST(WorkerIdentityTest, Names) {
  EXPECT_TRUE(is_worker_name(default_worker_name()));
  EXPECT_TRUE(is_worker_name("gpu-4.rack_1"));
  for (const char* bad : {"", "a b", "a/b", "ü"}) EXPECT_FALSE(is_worker_name(bad)) << bad;
  EXPECT_FALSE(is_worker_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace kiln::worker
