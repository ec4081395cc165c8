// Lanes that load weights together, as processes of their own, and what becomes of them when one goes. There is no card: they
// broadcast through a library for tests (test_nccl.cc) into plain memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/lane/share/share_rig.h"

namespace kiln::lane {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kBytes = (std::uint64_t{24} << 20U) + 12'345;
constexpr std::size_t kChunk = std::size_t{256} << 10U;
constexpr std::chrono::seconds kSoon{20};
constexpr double kGoesOnWithinS = 2.0;  // after somebody was killed

std::string in_tests(const std::string& name) { return std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/" + name; }

class WeightShareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.nccl = in_tests("libtest_nccl.so");
    options_.chunk_bytes = kChunk;
  }
  // What a root that was killed before all came leaves. Other tests run at the same time.
  void TearDown() override {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      int pid = 0;
      const bool is_ours = std::sscanf(entry.path().filename().c_str(), "kiln-test-nccl-%d", &pid) == 1;
      std::error_code gone;
      if (is_ours && ::kill(pid, 0) != 0) std::filesystem::remove(entry.path(), gone);
    }
  }
  LaneId start(const MemberOptions& options) { return rig_.start(options).value(); }
  LaneId start() { return start(options_); }
  MemberOptions killed_after(int chunks) const {
    MemberOptions out = options_;
    out.killed_after = chunks;
    return out;
  }
  void expect_whole(LaneId lane, std::uint64_t copied) {
    ASSERT_TRUE(rig_.loads.contains(lane)) << lane.value;
    const MemberLoad& load = rig_.loads.at(lane);
    EXPECT_EQ(load.copied_bytes, copied) << lane.value;
    EXPECT_EQ(load.copied_bytes + load.received_bytes, kBytes) << lane.value;
    EXPECT_EQ(load.hash, reference()) << lane.value;
  }
  // It had received some of it, and took the rest from the host's copy.
  void expect_went_on(LaneId lane, LaneId after) {
    ASSERT_TRUE(rig_.loads.contains(lane));
    const MemberLoad& load = rig_.loads.at(lane);
    EXPECT_GT(load.received_bytes, 0U);
    EXPECT_GT(load.copied_bytes, 0U);
    expect_whole(lane, kBytes - load.received_bytes);
    EXPECT_LT(load.end_s - rig_.gone.at(after), kGoesOnWithinS);
  }
  // Of a member that loads alone.
  static const std::string& reference() {
    static const std::string hash = [] {
      ShareRig rig(in_tests("share_member"), random_weights(kBytes).value());
      MemberOptions options;
      options.chunk_bytes = kChunk;
      const LaneId lane = rig.start(options).value();
      EXPECT_FALSE(rig.load(lane));
      EXPECT_TRUE(rig.all_end(kSoon));
      return rig.loads[lane].hash;
    }();
    return hash;
  }

  MemberOptions options_;
  ShareRig rig_{in_tests("share_member"), random_weights(kBytes).value()};
};

TEST_F(WeightShareTest, OneReadsTheHostsCopyAndTheOthersReceiveItsBytes) {
  const LaneId root = start();
  const LaneId second = start();
  const LaneId third = start();
  rig_.gather({root, second, third});
  for (const LaneId lane : {root, second, third}) EXPECT_TRUE(rig_.load(lane));
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(root, kBytes);
  expect_whole(second, 0);
  expect_whole(third, 0);
  EXPECT_EQ(rig_.groups().counters().completed, 1U);
  EXPECT_FALSE(rig_.groups().has(root));
}

TEST_F(WeightShareTest, ASecondGroupOfTheSameLanesHasAnEpochOfItsOwn) {
  const LaneId root = start();
  const LaneId second = start();
  for (int round = 0; round < 2; ++round) {
    rig_.gather({root, second});
    EXPECT_TRUE(rig_.load(root));
    EXPECT_TRUE(rig_.load(second));
    ASSERT_TRUE(rig_.all_end(kSoon));
    expect_whole(second, 0);
    rig_.loads.clear();
  }
  EXPECT_EQ(rig_.groups().counters().completed, 2U);
}

TEST_F(WeightShareTest, WithoutTheLibraryAllReadTheHostsCopyAndSayWhy) {
  options_.nccl = "/nowhere/libnccl.so.2";
  const LaneId root = start();
  const LaneId second = start();
  rig_.gather({root, second});
  rig_.load(root);
  rig_.load(second);
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(root, kBytes);
  expect_whole(second, kBytes);
  ASSERT_TRUE(rig_.said_ended.contains(root));
  EXPECT_THAT(rig_.said_ended.at(root), HasSubstr("no NCCL (/nowhere/libnccl.so.2"));
}

TEST_F(WeightShareTest, ALibraryThatDoesNotWorkEndsTheGroupForAll) {
  ::setenv("TEST_NCCL_HAS_NO_ID", "1", 1);
  const LaneId root = start();
  const LaneId second = start();
  ::unsetenv("TEST_NCCL_HAS_NO_ID");
  rig_.gather({root, second});
  rig_.load(root);
  rig_.load(second);
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(second, kBytes);
  EXPECT_THAT(rig_.said_ended.at(root), HasSubstr("ncclGetUniqueId: system error (2)"));
}

TEST_F(WeightShareTest, RootKilledInMidBroadcastLeavesTheOthersTheHostsCopy) {
  const LaneId root = start(killed_after(20));
  const LaneId second = start();
  const LaneId third = start();
  rig_.gather({root, second, third});
  for (const LaneId lane : {root, second, third}) rig_.load(lane);
  ASSERT_TRUE(rig_.all_end(kSoon));
  ASSERT_TRUE(rig_.gone.contains(root));
  expect_went_on(second, root);
  expect_went_on(third, root);
  EXPECT_EQ(rig_.groups().counters().given_up, 1U);
}

TEST_F(WeightShareTest, ReceiverKilledInMidBroadcastHoldsUpNobody) {
  const LaneId root = start();
  const LaneId second = start(killed_after(20));
  const LaneId third = start();
  rig_.gather({root, second, third});
  for (const LaneId lane : {root, second, third}) rig_.load(lane);
  ASSERT_TRUE(rig_.all_end(kSoon));
  ASSERT_TRUE(rig_.gone.contains(second));
  expect_whole(root, kBytes);
  EXPECT_LT(rig_.loads.at(root).end_s - rig_.gone.at(second), kGoesOnWithinS);
  expect_went_on(third, second);
}

TEST_F(WeightShareTest, MemberKilledBeforeItConnectsHoldsUpNobody) {
  const LaneId root = start();
  const LaneId second = start();
  ::kill(rig_.pid(second), SIGSTOP);  // it will not connect
  rig_.gather({root, second});
  rig_.load(root);
  rig_.kill(second);
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(root, kBytes);
  EXPECT_LT(rig_.loads.at(root).end_s - rig_.gone.at(second), kGoesOnWithinS);
}

TEST_F(WeightShareTest, ARootThatStandsStillIsNotWaitedForBeyondTheDeadline) {
  options_.patience_ms = 300;
  MemberOptions stops = options_;
  stops.stopped_after = 20;
  const LaneId root = start(stops);
  const LaneId second = start();
  rig_.gather({root, second});
  rig_.load(root);
  rig_.load(second);
  ASSERT_TRUE(rig_.run_until([&] { return rig_.loads.contains(second); }, kSoon));
  EXPECT_THAT(rig_.said_ended.at(second), HasSubstr("no chunk for 300 ms"));
  EXPECT_GT(rig_.loads.at(second).received_bytes, 0U);
  expect_whole(second, kBytes - rig_.loads.at(second).received_bytes);
  ::kill(rig_.pid(root), SIGCONT);  // it hears that the group is over, and needs nobody
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(root, kBytes);
}

TEST_F(WeightShareTest, AMemberThatNeverLoadsIsNotWaitedForBeyondTheDeadline) {
  options_.root_patience_ms = 300;
  const LaneId root = start();
  const LaneId second = start();
  rig_.gather({root, second});
  rig_.load(root);
  ASSERT_TRUE(rig_.run_until([&] { return rig_.loads.contains(root); }, kSoon));
  expect_whole(root, kBytes);
  EXPECT_THAT(rig_.said_ended.at(root), HasSubstr("no chunk for 300 ms, after 0 of"));
  EXPECT_FALSE(rig_.load(second));  // its group is over
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(second, kBytes);
}

TEST_F(WeightShareTest, ALaneThatComesLateReadsTheHostsCopy) {
  const LaneId root = start();
  const LaneId second = start();
  const LaneId late = start();
  rig_.gather({root, second});
  for (const LaneId lane : {root, second}) EXPECT_TRUE(rig_.load(lane));
  EXPECT_FALSE(rig_.load(late));
  ASSERT_TRUE(rig_.all_end(kSoon));
  expect_whole(second, 0);
  expect_whole(late, kBytes);
}

}  // namespace
}  // namespace kiln::lane
