#include "worker/worker_identity.h"

#include <gtest/gtest.h>

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

TEST(WorkerIdentityTest, CardsAreOfferedByTheirArchitecture) {
  WorkerCapability card = capability();
  card.card = parse_card("NVIDIA H100 80GB HBM3, 9.0, 80000\n").value();
  card.toolchain.reset();
  const net::LaneOffer offer = worker_hello(card).lanes[0];
  EXPECT_EQ(offer.kind.arch, "sm_90");
  EXPECT_EQ(offer.kind.device_name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(offer.kind.threads, 0);
  EXPECT_EQ(offer.budget_bytes, (80000ULL << 20U) / 10 * 7);
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

TEST(CardProbeTest, OneLineOfTheDriversTool) {
  const Card card = parse_card("NVIDIA GeForce RTX 3060, 8.6, 12288").value();
  EXPECT_EQ(card.name, "NVIDIA GeForce RTX 3060");
  EXPECT_EQ(card.arch, "sm_86");
  EXPECT_EQ(card.memory_bytes, 12288ULL << 20U);
  for (const char* bad : {"", "No devices were found", "card, 8.6", "card, 8.6, much", "card, , 5"}) {
    EXPECT_FALSE(parse_card(bad)) << bad;
  }
}

TEST(CardProbeTest, DevicesThatAreNoCardsAreRefused) {
  EXPECT_EQ(exit_code(probe_card("tpu:0").error()), 78);
}

}  // namespace
}  // namespace kiln::worker
