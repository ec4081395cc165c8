#include "cli/mpi/rank_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/kept_process.h"
#include "cli/mpi/rank_host.h"

namespace kiln::cli {
namespace {

using ::testing::ElementsAre;

// Hosts of these many ranks each, numbered one after the other as mpirun does.
std::vector<Introduction> launch(const std::vector<int>& ranks_of_host, const std::string& cpus = "ff", int cores = 8) {
  std::vector<Introduction> out;
  for (std::size_t host = 0; host < ranks_of_host.size(); ++host) {
    const auto first = static_cast<int>(out.size());
    for (int i = 0; i < ranks_of_host[host]; ++i) out.push_back({first, i, fmt::format("h{}", host), "", cpus, cores});
  }
  return out;
}

std::vector<std::string> words(const std::vector<RankRole>& roles) {
  std::vector<std::string> out;
  for (const RankRole& role : roles) {
    out.push_back(fmt::format("{}{}", role.leads ? "lead " : "",
                              role.works ? fmt::format("{} in {} with {}", role.worker, role.folder, role.threads_per_lane) : ""));
  }
  return out;
}

TEST(RankPlanTest, RankZeroLeadsAndTheOthersWork) {
  EXPECT_THAT(words(plan_ranks(launch({3}), {})),
              ElementsAre("lead ", "h0-1 in h0-0 with 4", "h0-2 in h0-1 with 4"));
}

TEST(RankPlanTest, RankZeroWorksTooWhereItsHostHasNoOtherRank) {
  EXPECT_THAT(words(plan_ranks(launch({1}), {})), ElementsAre("lead h0-0 in h0-0 with 8"));
  EXPECT_THAT(words(plan_ranks(launch({1, 1}), {})), ElementsAre("lead h0-0 in h0-0 with 8", "h1-1 in h1-0 with 8"));
}

TEST(RankPlanTest, RankZeroWorksTooWhereThatIsWishedFor) {
  RankWishes wishes;
  wishes.rank_0_works = true;
  wishes.lanes = 2;
  EXPECT_THAT(words(plan_ranks(launch({2}), wishes)), ElementsAre("lead h0-0 in h0-0 with 2", "h0-1 in h0-1 with 2"));
}

struct CardPlan {
  std::vector<std::string> devices;
  std::string refusal;
};

CardPlan plan_cards(const std::vector<Introduction>& ranks) {
  RankWishes wishes;
  wishes.device = "cuda";
  CardPlan out;
  const auto roles = plan_ranks(ranks, wishes);
  for (const RankRole& role : roles) out.devices.push_back(role.device);
  if (const Status checked = check_devices(ranks, roles); !checked) out.refusal = checked.error().message;
  return out;
}

TEST(RankPlanTest, EachWorkerOfAHostTakesAnotherCard) {
  auto ranks = launch({3, 2});
  for (Introduction& one : ranks) one.cards = {{0, "a"}, {1, "b"}};
  const CardPlan plan = plan_cards(ranks);
  EXPECT_THAT(plan.devices, ElementsAre("", "cuda:0", "cuda:1", "cuda:0", "cuda:1"));
  EXPECT_EQ(plan.refusal, "");
}

// As Slurm starts them with --gpus-per-task=1: each rank's card is its number 0.
TEST(RankPlanTest, RanksThatSeeACardOfTheirOwnTakeThat) {
  auto ranks = launch({1, 3});
  ranks[0].cards = {{0, "x"}};
  ranks[1].cards = {{0, "b"}};
  ranks[2].cards = {{0, "a"}};
  ranks[3].cards = {{0, "a"}, {1, "c"}};
  const CardPlan plan = plan_cards(ranks);
  EXPECT_THAT(plan.devices, ElementsAre("cuda:0", "cuda:0", "cuda:0", "cuda:1"));
  EXPECT_EQ(plan.refusal, "");
}

TEST(RankPlanTest, RanksBeyondTheCardsAreRefusedWithWhatToDo) {
  auto ranks = launch({4});
  for (Introduction& one : ranks) one.cards = {{0, "a"}, {1, "b"}};
  const CardPlan plan = plan_cards(ranks);
  EXPECT_THAT(plan.devices, ElementsAre("", "cuda:0", "cuda:1", ""));
  EXPECT_EQ(plan.refusal, "no card is left for rank 3: on h0 are 3 workers, and they see 2 cards; start a rank for each card "
                          "(and one that leads, where rank 0 does not work), or use --device cpu");
  ranks.resize(2);
  ranks[1].cards.clear();
  ranks[1].no_cards = "no NVIDIA driver here";
  EXPECT_EQ(plan_cards(ranks).refusal, "rank 1 on h0 has no card: no NVIDIA driver here");
  EXPECT_TRUE(check_devices(ranks, plan_ranks(ranks, {}))) << "nobody asked for cards";
}

TEST(RankPlanTest, BoundRanksKeepTheirProcessorsForThemselves) {
  auto ranks = launch({3}, "", 4);
  for (std::size_t i = 0; i < ranks.size(); ++i) ranks[i].cpus = fmt::format("{}", i);
  EXPECT_THAT(words(plan_ranks(ranks, {})), ElementsAre("lead ", "h0-1 in h0-0 with 4", "h0-2 in h0-1 with 4"));
}

TEST(RankPlanTest, EveryLaneHasAThread) {
  RankWishes wishes;
  wishes.lanes = 8;
  EXPECT_EQ(plan_ranks(launch({4}, "3", 2), wishes)[1].threads_per_lane, 1);
}

TEST(RankPlanTest, IntroductionsSurviveTheWay) {
  const Introduction said{4, 2, "h\"1", "key", "ff", 8, {{1, "GPU-1"}}, "none"};
  const auto heard = decode_introduction(encode(said));
  ASSERT_TRUE(heard.has_value());
  EXPECT_EQ(*heard, said);
  EXPECT_FALSE(decode_introduction("{\"node\":1}").has_value());
  EXPECT_FALSE(decode_introduction("nonsense").has_value());
}

TEST(RankHostTest, AFreePortIsOneThatTheKernelDoesNotHandOut) {
  const auto port = free_port("127.0.0.1");
  ASSERT_TRUE(port.has_value()) << port.error().message;
  EXPECT_GE(*port, 20'000);
  EXPECT_LT(*port, 32'000);
  EXPECT_EQ(free_port("nowhere").error().exit, ExitCode::kBadConfig);
  EXPECT_EQ(free_port("192.0.2.1").error().exit, ExitCode::kTryAgain);  // an address of nobody
}

// ---- children of a rank ----

SpawnOptions shell(const std::string& script) {
  SpawnOptions spawn;
  spawn.argv = {"sh", "-c", script};
  return spawn;
}

TEST(KeptProcessTest, ExitCodesAreHandedOn) {
  KeptProcess child("it", shell("exit 7"));
  ASSERT_TRUE(child.start());
  const auto ended = child.on_end();
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(*ended, 7);
}

TEST(KeptProcessTest, AKilledChildIsStartedAgainButNotForEver) {
  KeptProcess child("it", shell("kill -9 $$"));
  ASSERT_TRUE(child.start());
  for (std::size_t i = 0; i < kRestartsMax; ++i) {
    const auto ended = child.on_end();
    ASSERT_TRUE(ended.has_value()) << ended.error().message;
    EXPECT_FALSE(ended->has_value());
  }
  EXPECT_EQ(child.restarts(), kRestartsMax);
  const auto given_up = child.on_end();
  ASSERT_FALSE(given_up.has_value());
  EXPECT_THAT(given_up.error().message, ::testing::HasSubstr("it was killed 6 times"));
  EXPECT_FALSE(child.running());
}

}  // namespace
}  // namespace kiln::cli
