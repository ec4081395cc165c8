#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/core/worker_rig.h"

namespace kiln::worker {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

const TaskKey kSeven{7, Attempt{1}};
const TaskKey kEight{8, Attempt{1}};
const net::TaskFault kSomeError{net::FailureKind::kError, "internal", "no", -1};

TEST(WorkerCoreTest, OneTaskFromAssignmentToTaken) {
  WorkerRig rig(1);
  rig.settle_in();
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 1, 0)), ElementsAre("prepare 7#1"));
  EXPECT_THAT(rig.tell(Prepared{kSeven}), ElementsAre("run 7#1"));
  EXPECT_THAT(rig.tell(RunDone{kSeven}), ElementsAre("store 7#1"));
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), ElementsAre("send done 7#1"));
  EXPECT_EQ(rig.state().reports.size(), 1U);
  EXPECT_THAT(rig.say(net::ResultTaken{7, Attempt{1}}), IsEmpty());
  EXPECT_TRUE(rig.state().reports.empty());
}

TEST(WorkerCoreTest, NoopIsDoneAtOnce) {
  WorkerRig rig(1);
  rig.settle_in();
  net::Assign noop = WorkerRig::segment(7, 1, 0);
  noop.spec = net::NoopSpec{};
  EXPECT_THAT(rig.say(noop), ElementsAre("send done 7#1"));
}

TEST(WorkerCoreTest, ResultIsSentAgainUntilItIsTaken) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.tell(RunDone{kSeven});
  rig.tell(Stored{kSeven, net::SegmentResult{}, {}});
  EXPECT_THAT(rig.wait(rig.state().rules.report_interval), Contains("send done 7#1"));
  EXPECT_THAT(rig.wait(rig.state().rules.report_interval), Contains("send done 7#1"));
  rig.say(net::ResultTaken{7, Attempt{1}});
  EXPECT_THAT(rig.wait(rig.state().rules.report_interval), Not(Contains("send done 7#1")));
}

TEST(WorkerCoreTest, TaskWaitsForALaneThatIsStillStarting) {
  WorkerRig rig(1);
  rig.tell(LinkUp{});
  rig.say(WorkerRig::welcome("e1"));
  rig.say(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.tell(Prepared{kSeven}), IsEmpty());
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), ElementsAre("run 7#1"));
}

// ---- the session ----

TEST(WorkerSessionTest, HelloIsRepeatedUntilWelcome) {
  WorkerRig rig(2);
  EXPECT_THAT(rig.tell(LinkUp{}), ElementsAre("send hello lanes 0 1"));
  EXPECT_THAT(rig.wait(rig.state().rules.hello_interval), ElementsAre("send hello lanes 0 1"));
  EXPECT_THAT(rig.say(WorkerRig::welcome("e1")), ElementsAre("welcome"));
  EXPECT_THAT(rig.wait(WorkerTime{2000}), ElementsAre("send heartbeat"));
}

TEST(WorkerSessionTest, GoesOnWhileTheCoordinatorIsAwayAndComesBackWithAllItHas) {
  WorkerRig rig(2);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::segment(8, 1, 1));
  rig.tell(LinkDown{});
  EXPECT_THAT(rig.tell(RunDone{kSeven}), ElementsAre("store 7#1"));
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), IsEmpty());  // nobody is there to hear it
  EXPECT_THAT(rig.wait(WorkerTime{60'000}), IsEmpty());
  EXPECT_THAT(rig.tell(LinkUp{}), ElementsAre("send hello lanes 0 1 running 8#1 running 7#1"));
  EXPECT_THAT(rig.say(WorkerRig::welcome("e2")), ElementsAre("welcome", "send done 7#1"));
}

TEST(WorkerSessionTest, CoordinatorThatForgotUsIsGreetedAgain) {
  WorkerRig rig(1);
  rig.settle_in();
  EXPECT_THAT(rig.say(net::WorkerRefused{make_error(ErrorCode::kUnauthenticated, "say hello first")}),
              ElementsAre("send hello lanes 0"));
  // Late answers to what was sent before that hello change nothing.
  EXPECT_THAT(rig.say(net::WorkerRefused{make_error(ErrorCode::kUnauthenticated, "say hello first")}), IsEmpty());
}

TEST(WorkerSessionTest, WelcomeOfAnotherEpochWithoutHelloIsAnsweredWithOne) {
  WorkerRig rig(1);
  rig.settle_in();
  EXPECT_THAT(rig.say(WorkerRig::welcome("e1")), ElementsAre("welcome"));  // renewed
  EXPECT_THAT(rig.say(WorkerRig::welcome("e2")), ElementsAre("welcome", "send hello lanes 0"));
}

TEST(WorkerSessionTest, NameThatIsTakenIsTriedForAWhileAndThenAnError) {
  WorkerRig rig(1);
  rig.tell(LinkUp{});
  const auto taken = net::WorkerRefused{make_error(ErrorCode::kAlreadyExists, "a worker named w is connected already")};
  EXPECT_THAT(rig.say(taken), IsEmpty());
  rig.wait(rig.state().rules.name_patience);
  EXPECT_THAT(rig.say(taken), ElementsAre("leave with error"));
}

TEST(WorkerSessionTest, OtherRefusalsEndTheWorker) {
  WorkerRig rig(1);
  rig.tell(LinkUp{});
  EXPECT_THAT(rig.say(net::WorkerRefused{make_error(ErrorCode::kPermissionDenied, "no worker's key")}),
              ElementsAre("leave with error"));
}

TEST(WorkerSessionTest, GrantsAreRenewedBeforeTheyExpire) {
  WorkerRig rig(1);
  rig.tell(LinkUp{});
  rig.say(WorkerRig::welcome("e1", 1'800'000'000 + 600));
  EXPECT_THAT(rig.wait(WorkerTime{299'000}), Not(Contains("send renew")));
  EXPECT_THAT(rig.wait(WorkerTime{2'000}), Contains("send renew"));
  EXPECT_THAT(rig.wait(WorkerTime{2'000}), Not(Contains("send renew")));  // asked already
}

// ---- what can go wrong with a task ----

struct FailureCase {
  const char* name;
  WorkerEvent event;
  std::vector<std::string> at_once;
  const char* reported;
};

class TaskFailureTest : public ::testing::TestWithParam<FailureCase> {};

TEST_P(TaskFailureTest, IsReportedWithItsClassAndItsLog) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_EQ(rig.tell(GetParam().event), GetParam().at_once);
  EXPECT_THAT(rig.tell(Stored{kSeven, std::nullopt, {std::string(64, 'a'), 5}}), Contains(GetParam().reported));
}

INSTANTIATE_TEST_SUITE_P(
    Failures, TaskFailureTest,
    ::testing::Values(
        FailureCase{"error", RunFailed{kSeven, kSomeError}, {"log 7#1"}, "send failed 7#1 error"},
        FailureCase{"bad_input", RunFailed{kSeven, {net::FailureKind::kBadInput, "data_loss", "torn", 65}}, {"log 7#1"},
                    "send failed 7#1 bad_input"},
        FailureCase{"oom", RunFailed{kSeven, {net::FailureKind::kOutOfMemory, "resource_exhausted", "no", -1}},
                    {"log 7#1", "kill 0", "start 0"}, "send failed 7#1 oom"},
        FailureCase{"crash", LaneIsLost{LaneId{0}, net::FailureKind::kCrash, "killed by signal 11"},
                    {"start 0", "log 7#1"}, "send failed 7#1 crash"},
        FailureCase{"killed_for_memory", LaneIsLost{LaneId{0}, net::FailureKind::kOutOfMemory, "killed"},
                    {"start 0", "log 7#1"}, "send failed 7#1 oom"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(WorkerCoreTest, FailureIsReportedWithoutItsLogWhenThatCannotBeStored) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.tell(RunFailed{kSeven, kSomeError});
  EXPECT_THAT(rig.tell(TransferFailed{kSeven, kSomeError, true, false}), ElementsAre("send failed 7#1 error"));
}

TEST(WorkerCoreTest, LaneThatIsSilentIsKilledAndItsTaskHangs) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  const WorkerTime silence = rig.state().rules.lane_silence_max;
  rig.wait(silence / 2);
  rig.tell(LaneIsAlive{LaneId{0}});
  EXPECT_THAT(rig.wait(silence / 2), Not(Contains("kill 0")));
  EXPECT_THAT(rig.wait(silence / 2), Contains("kill 0"));
  EXPECT_THAT(rig.tell(Stored{kSeven, std::nullopt, {}}), Contains("send failed 7#1 hang"));
  EXPECT_EQ(rig.state().counters.lanes_hung, 1U);
}

TEST(WorkerCoreTest, IdleLaneMayBeSilent) {
  WorkerRig rig(1);
  rig.settle_in();
  EXPECT_THAT(rig.wait(rig.state().rules.lane_silence_max * 2), Not(Contains("kill 0")));
}

TEST(WorkerCoreTest, LaneThatDiesAgainAndAgainWaitsLongerAndIsSaidToBeDown) {
  WorkerRig rig(2);
  rig.settle_in();
  rig.run(WorkerRig::segment(3, 1, 1));
  rig.tell(RunDone{{3, Attempt{1}}});  // something works here
  const LaneIsLost lost{LaneId{0}, net::FailureKind::kCrash, "exit code 1"};
  EXPECT_THAT(rig.tell(lost), ElementsAre("start 0"));
  EXPECT_THAT(rig.tell(lost), ElementsAre("send lane 0 down"));
  EXPECT_THAT(rig.wait(rig.state().rules.restart_first), Contains("start 0"));
  EXPECT_THAT(rig.tell(lost), IsEmpty());
  EXPECT_THAT(rig.wait(rig.state().rules.restart_first), Not(Contains("start 0")));
  EXPECT_THAT(rig.wait(rig.state().rules.restart_first), Contains("start 0"));
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), ElementsAre("send lane 0 up"));
}

TEST(WorkerCoreTest, TaskOfALaneThatIsDownIsGivenBack) {
  WorkerRig rig(1);
  rig.settle_in();
  const LaneIsLost lost{LaneId{0}, net::FailureKind::kCrash, "exit code 1"};
  rig.tell(lost);
  rig.tell(lost);
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 1, 0)), ElementsAre("send failed 7#1 lost", "send lane 0 down"));
}

TEST(WorkerCoreTest, WorkerWhoseLaneSaysThatNoneCanBeSetUpLeavesAtOnce) {
  WorkerRig rig(2);
  rig.settle_in();
  const LaneIsLost lost{LaneId{0}, net::FailureKind::kError, "no ffmpeg", bad_config("no ffmpeg")};
  EXPECT_THAT(rig.tell(lost), ElementsAre("leave with error"));
}

TEST(WorkerCoreTest, WorkerWhoseLanesWorkedKeepsTryingWhateverOneSays) {
  WorkerRig rig(2);
  rig.settle_in();
  rig.run(WorkerRig::segment(3, 1, 1));
  rig.tell(RunDone{{3, Attempt{1}}});
  const LaneIsLost lost{LaneId{0}, net::FailureKind::kError, "no ffmpeg", bad_config("no ffmpeg")};
  EXPECT_THAT(rig.tell(lost), ElementsAre("start 0"));
}

TEST(WorkerCoreTest, WorkerWhoseLanesNeverComeUpLeaves) {
  WorkerRig rig(1);
  rig.settle_in();
  const LaneIsLost lost{LaneId{0}, net::FailureKind::kError, "no ffmpeg"};
  for (int i = 1; i < rig.state().rules.deaths_max; ++i) {
    EXPECT_THAT(rig.tell(lost), Not(Contains("leave with error")));
    rig.wait(rig.state().rules.restart_most);
  }
  EXPECT_THAT(rig.tell(lost), Contains("leave with error"));
}

TEST(WorkerCoreTest, TransfersAreTriedAgainWhileTheStoreIsAway) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.say(WorkerRig::segment(7, 1, 0));
  const TransferFailed away{kSeven, {net::FailureKind::kError, "unavailable", "no store", -1}, true, false};
  EXPECT_THAT(rig.tell(away), IsEmpty());
  EXPECT_THAT(rig.wait(rig.state().rules.retry_first), Contains("prepare 7#1"));
  rig.tell(Prepared{kSeven});
  rig.tell(RunDone{kSeven});
  EXPECT_THAT(rig.tell(away), IsEmpty());
  EXPECT_THAT(rig.wait(rig.state().rules.retry_first), Contains("store 7#1"));
  rig.tell(away);
  rig.wait(rig.state().rules.transfer_patience);
  EXPECT_EQ(rig.state().counters.transfers_given_up, 0U);
  EXPECT_THAT(rig.tell(away), ElementsAre("log 7#1"));
  EXPECT_EQ(rig.state().counters.transfers_given_up, 1U);
  EXPECT_THAT(rig.tell(Stored{kSeven, std::nullopt, {}}), ElementsAre("send failed 7#1 error"));
}

TEST(WorkerCoreTest, RefusedGrantsAreRenewed) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.say(WorkerRig::segment(7, 1, 0));
  rig.tell(TransferFailed{kSeven, {net::FailureKind::kError, "permission_denied", "expired", -1}, false, true});
  const auto words = rig.wait(rig.state().rules.retry_first);
  EXPECT_THAT(words, Contains("send renew"));
  EXPECT_THAT(words, Contains("prepare 7#1"));
}

TEST(WorkerCoreTest, BadPackageIsNotFetchedAgain) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.say(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.tell(TransferFailed{kSeven, {net::FailureKind::kBadInput, "data_loss", "hash", 65}, false, false}),
              ElementsAre("log 7#1"));
}

// ---- assignments that cross each other ----

TEST(WorkerAssignTest, CancelledBeforeItRunsIsDropped) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.say(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.say(net::CancelTask{7, Attempt{1}, ""}), ElementsAre("drop 7#1"));
  EXPECT_THAT(rig.tell(Prepared{kSeven}), IsEmpty());
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 1, 0)), ElementsAre("send failed 7#1 lost"));  // late: not begun again
}

TEST(WorkerAssignTest, WhatComesForABusyLaneIsFetchedAndRunBesideIt) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.say(WorkerRig::segment(8, 1, 0)), ElementsAre("prepare 8#1"));
  EXPECT_THAT(rig.tell(Prepared{kEight}), ElementsAre("run 8#1"));
  EXPECT_THAT(rig.tell(RunDone{kSeven}), ElementsAre("store 7#1"));
  EXPECT_THAT(rig.tell(RunDone{kEight}), ElementsAre("store 8#1"));
  EXPECT_THAT(rig.tell(Stored{kEight, net::SegmentResult{}, {}}), ElementsAre("send done 8#1"));
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), ElementsAre("send done 7#1"));
}

TEST(WorkerAssignTest, ThirdSegmentWaitsUntilOneOfTwoHasEnded) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::segment(8, 1, 0));
  rig.say(WorkerRig::segment(9, 1, 0));
  EXPECT_THAT(rig.tell(Prepared{{9, Attempt{1}}}), IsEmpty());
  EXPECT_THAT(rig.say(net::CancelTask{7, Attempt{1}, ""}), ElementsAre("cancel 7#1"));  // it may still be at work
  EXPECT_THAT(rig.tell(RunFailed{kSeven, kSomeError}), ElementsAre("drop 7#1", "run 9#1"));
}

TEST(WorkerAssignTest, SegmentOfAnotherNetworkWaitsUntilTheLaneHasLeftTheFirst) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  net::Assign half = WorkerRig::segment(8, 1, 0);
  std::get<net::SegmentSpec>(half.spec).dtype = "float16";
  net::Assign other = WorkerRig::segment(9, 1, 0);
  other.package.files.push_back({"manifest.toml", {std::string(64, 'b'), 1}});
  rig.say(half);
  rig.say(other);
  EXPECT_THAT(rig.tell(Prepared{kEight}), IsEmpty());
  EXPECT_THAT(rig.tell(Prepared{{9, Attempt{1}}}), IsEmpty());
  EXPECT_THAT(rig.tell(RunDone{kSeven}), ElementsAre("store 7#1", "run 8#1"));
  EXPECT_THAT(rig.tell(RunDone{kEight}), ElementsAre("store 8#1", "run 9#1"));
}

TEST(WorkerAssignTest, JoinRunsBesideASegmentAndASecondJoinWaits) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::join(8, 1, 0));
  rig.say(WorkerRig::join(9, 1, 0));
  EXPECT_THAT(rig.tell(Prepared{{9, Attempt{1}}}), IsEmpty());
  EXPECT_THAT(rig.tell(RunDone{kEight}), ElementsAre("store 8#1", "run 9#1"));
}

TEST(WorkerAssignTest, OfTasksWhoseLaneDiedTheFirstIsBlamedAndTheOthersBeginAnew) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::segment(8, 1, 0));
  const LaneIsLost lost{LaneId{0}, net::FailureKind::kCrash, "killed by signal 11"};
  EXPECT_THAT(rig.tell(lost), ElementsAre("start 0", "log 7#1"));
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), ElementsAre("run 8#1"));
  EXPECT_THAT(rig.tell(lost), Contains("log 8#1"));  // alone, it is to blame
}

TEST(WorkerAssignTest, LaneThatStaysDownGivesAllItsTasksBack) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.tell(LaneIsLost{LaneId{0}, net::FailureKind::kCrash, "killed"});
  rig.tell(LaneIsUp{LaneId{0}});
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::segment(8, 1, 0));
  rig.say(WorkerRig::segment(9, 1, 0));
  EXPECT_THAT(rig.tell(LaneIsLost{LaneId{0}, net::FailureKind::kCrash, "killed"}),
              ElementsAre("log 7#1", "drop 8#1", "send failed 8#1 lost", "drop 9#1", "send failed 9#1 lost"));
}

TEST(WorkerAssignTest, OneOutOfMemoryLeavesTheOtherItsTurn) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::segment(8, 1, 0));
  EXPECT_THAT(rig.tell(RunFailed{kEight, {net::FailureKind::kOutOfMemory, "resource_exhausted", "no", -1}}),
              ElementsAre("log 8#1", "kill 0", "start 0"));
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), ElementsAre("run 7#1"));
}

TEST(WorkerAssignTest, LaneTakesSoManyTasksAndNoMore) {
  WorkerRig rig(1);
  rig.settle_in();
  for (std::uint64_t task = 1; task <= kTasksPerSlotMax; ++task) rig.say(WorkerRig::segment(task, 1, 0));
  EXPECT_THAT(rig.say(WorkerRig::segment(kTasksPerSlotMax + 1, 1, 0)),
              ElementsAre(fmt::format("send failed {}#1 lost", kTasksPerSlotMax + 1)));
  EXPECT_EQ(rig.state().counters.turned_down_full, 1U);
}

TEST(WorkerAssignTest, LaneThatDoesNotStopIsKilled) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.say(net::CancelTask{7, Attempt{1}, ""});
  EXPECT_THAT(rig.wait(rig.state().rules.cancel_patience), Contains("kill 0"));
  EXPECT_EQ(rig.state().counters.lanes_stuck, 1U);
  EXPECT_TRUE(rig.state().slots.at(LaneId{0}).works.empty());
}

TEST(WorkerAssignTest, JoinIsCancelledWithItsLane) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::join(7, 1, 0));
  EXPECT_THAT(rig.say(net::CancelTask{7, Attempt{1}, ""}), ElementsAre("drop 7#1", "kill 0", "start 0"));
}

TEST(WorkerAssignTest, JoinThatIsCancelledLeavesTheSegmentBesideItItsTurn) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(8, 1, 0));
  rig.run(WorkerRig::join(7, 1, 0));
  EXPECT_THAT(rig.say(net::CancelTask{7, Attempt{1}, ""}), ElementsAre("drop 7#1", "kill 0", "start 0"));
  EXPECT_THAT(rig.tell(LaneIsUp{LaneId{0}}), ElementsAre("run 8#1"));
}

TEST(WorkerAssignTest, LaterAttemptTakesThePlaceOfTheEarlier) {
  WorkerRig rig(2);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 2, 1)), ElementsAre("cancel 7#1", "prepare 7#2"));
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 1, 0)), IsEmpty());
}

TEST(WorkerAssignTest, SameAssignmentTwiceIsOneTask) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 1, 0)), IsEmpty());
  rig.tell(RunDone{kSeven});
  rig.tell(Stored{kSeven, net::SegmentResult{}, {}});
  EXPECT_THAT(rig.say(WorkerRig::segment(7, 1, 0)), ElementsAre("send done 7#1"));
}

TEST(WorkerAssignTest, CancelledResultIsForgotten) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.tell(RunDone{kSeven});
  rig.tell(Stored{kSeven, net::SegmentResult{}, {}});
  rig.say(net::CancelTask{7, Attempt{1}, "given to another lane"});
  EXPECT_THAT(rig.wait(rig.state().rules.report_interval), Not(Contains("send done 7#1")));
}

TEST(WorkerAssignTest, OfEndedTasksTheLatestAreRemembered) {
  WorkerRig rig(1);
  rig.settle_in();
  for (std::uint64_t task = 1; task <= kEndedTasksKept + 2; ++task) rig.say(net::CancelTask{task, Attempt{1}, ""});
  EXPECT_EQ(rig.state().ended.size(), kEndedTasksKept);
  EXPECT_FALSE(rig.state().ended.contains({2, Attempt{1}}));
  EXPECT_EQ(rig.state().counters.ended_forgotten, 2U);
}

TEST(WorkerAssignTest, CompileRunsBesideTheLanes) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.say(WorkerRig::compile(9, 1)), ElementsAre("prepare 9#1"));
  EXPECT_THAT(rig.tell(Prepared{{9, Attempt{1}}}), ElementsAre("run 9#1"));
  EXPECT_THAT(rig.wait(rig.state().rules.lane_silence_max / 2), Not(Contains("kill 4294967295")));
}

TEST(WorkerAssignTest, ArtifactReachesTheLanesThatRenderWithItsKey) {
  WorkerRig rig(3);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0, "k"));
  rig.run(WorkerRig::segment(8, 1, 1, "other"));
  rig.run(WorkerRig::segment(9, 1, 2, "k", "uncompiled"));
  EXPECT_THAT(rig.say(net::ArtifactReady{"k"}), ElementsAre("offer k to 7#1"));
  EXPECT_THAT(rig.say(net::ArtifactReady{"k"}), IsEmpty());
}

TEST(WorkerAssignTest, ArtifactThatComesBeforeTheRunIsPartOfIt) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.say(WorkerRig::segment(7, 1, 0, "k"));
  EXPECT_THAT(rig.say(net::ArtifactReady{"k"}), IsEmpty());
  rig.tell(Prepared{kSeven});
  ASSERT_EQ(rig.effects().size(), 1U);
  const auto& run = std::get<RunTask>(rig.effects()[0]);
  EXPECT_TRUE(std::get<net::SegmentSpec>(run.assign.spec).artifact_ready);
}

TEST(WorkerAssignTest, RefusedArtifactFailsOnlyWhatInsistsOnIt) {
  WorkerRig rig(2);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0, "k", "compiled"));
  rig.run(WorkerRig::segment(8, 1, 1, "k", "any"));
  EXPECT_THAT(rig.tell(ArtifactRefused{kSeven, "wrong"}), ElementsAre("cancel 7#1"));
  EXPECT_THAT(rig.tell(ArtifactRefused{{8, Attempt{1}}, "wrong"}), IsEmpty());
  EXPECT_THAT(rig.tell(RunFailed{kSeven, kSomeError}), ElementsAre("log 7#1"));
  EXPECT_THAT(rig.tell(Stored{kSeven, std::nullopt, {}}), ElementsAre("send failed 7#1 mismatch"));
}

TEST(WorkerAssignTest, ProgressIsToldNowAndThen) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.tell(RunProgressed{{7, Attempt{1}, 1, 0, 0}}), ElementsAre("send progress 7#1 1"));
  EXPECT_THAT(rig.tell(RunProgressed{{7, Attempt{1}, 2, 0, 0}}), IsEmpty());
  EXPECT_THAT(rig.tell(RunProgressed{{7, Attempt{1}, 3, 0, 0}}), IsEmpty());
  EXPECT_THAT(rig.wait(rig.state().rules.progress_interval), ElementsAre("send progress 7#1 3"));
}

// ---- the end ----

TEST(WorkerDrainTest, FinishesWhatRunsAndGivesTheRestBack) {
  WorkerRig rig(3);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.say(WorkerRig::segment(8, 1, 1));
  EXPECT_THAT(rig.tell(StopAsked{}),
              ElementsAre("send leaving", "drop 8#1", "send failed 8#1 lost", "send lane 1 down", "send lane 2 down"));
  // It has not heard: said again before the task is given back, which would come back else.
  EXPECT_THAT(rig.say(WorkerRig::segment(9, 1, 2)), ElementsAre("send leaving", "send failed 9#1 lost", "send lane 2 down"));
  rig.say(net::ResultTaken{8, Attempt{1}});
  rig.say(net::ResultTaken{9, Attempt{1}});
  rig.tell(RunDone{kSeven});
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), ElementsAre("send done 7#1", "send lane 0 down"));
  EXPECT_THAT(rig.say(net::ResultTaken{7, Attempt{1}}), ElementsAre("send goodbye", "leave"));
  EXPECT_THAT(rig.wait(WorkerTime{10'000}), IsEmpty());
}

TEST(WorkerDrainTest, ACompileIsNotWaitedForByItself) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.run(WorkerRig::compile(9, 1));
  EXPECT_THAT(rig.tell(StopAsked{}), ElementsAre("send leaving")) << "it may be done before the frames are";
  rig.tell(RunDone{kSeven});
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), ElementsAre("send done 7#1", "send lane 0 down", "cancel 9#1"));
  rig.say(net::ResultTaken{7, Attempt{1}});
  EXPECT_THAT(rig.tell(RunFailed{{9, Attempt{1}}, {net::FailureKind::kError, "cancelled", "x", -1}}),
              ElementsAre("drop 9#1", "send failed 9#1 lost"));
  EXPECT_THAT(rig.say(net::ResultTaken{9, Attempt{1}}), ElementsAre("send goodbye", "leave"));
}

// One that is done all the same, just then, is reported as what it is: the coordinator has heard that it is lost from nobody yet.
TEST(WorkerDrainTest, ACompileWhoseArtifactIsBeingPublishedIsWaitedFor) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::compile(9, 1));
  rig.tell(RunDone{{9, Attempt{1}}});
  EXPECT_THAT(rig.tell(StopAsked{}), ElementsAre("send leaving", "send lane 0 down"));
  EXPECT_THAT(rig.tell(Stored{{9, Attempt{1}}, net::CompileResult{}, {}}), ElementsAre("send done 9#1"));
}

TEST(WorkerDrainTest, SecondSignalEndsAtOnce) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.tell(StopAsked{});
  EXPECT_THAT(rig.tell(StopAsked{}), ElementsAre("leave with error"));
}

TEST(WorkerDrainTest, ResultsThatNobodyTakesAreNotWaitedForWithoutEnd) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.tell(LinkDown{});
  rig.tell(StopAsked{});
  rig.tell(RunDone{kSeven});
  EXPECT_THAT(rig.tell(Stored{kSeven, net::SegmentResult{}, {}}), IsEmpty());
  EXPECT_THAT(rig.wait(rig.state().rules.drain_patience / 2), IsEmpty());
  EXPECT_THAT(rig.wait(rig.state().rules.drain_patience), ElementsAre("leave"));
}

TEST(WorkerDrainTest, IdleWorkerLeavesAtOnce) {
  WorkerRig rig(1);
  rig.settle_in();
  EXPECT_THAT(rig.tell(StopAsked{}), ElementsAre("send leaving", "send lane 0 down", "send goodbye", "leave"));
}

TEST(WorkerDrainTest, LeavesWhenToldAndIsToldOnlyOnce) {
  WorkerRig rig(2);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  EXPECT_THAT(rig.say(net::DrainWorker{true, false}), IsEmpty());
  EXPECT_THAT(rig.say(net::DrainWorker{true, true}), ElementsAre("send leaving", "send lane 1 down"));
  EXPECT_THAT(rig.say(net::DrainWorker{true, true}), IsEmpty());
  rig.tell(RunDone{kSeven});
  rig.tell(Stored{kSeven, net::SegmentResult{}, {}});
  EXPECT_THAT(rig.say(net::ResultTaken{7, Attempt{1}}), ElementsAre("send goodbye", "leave"));
}

TEST(WorkerDrainTest, OneSignalAfterTheCoordinatorsWordStillFinishesWhatRuns) {
  WorkerRig rig(1);
  rig.settle_in();
  rig.run(WorkerRig::segment(7, 1, 0));
  rig.say(net::DrainWorker{true, true});
  EXPECT_THAT(rig.tell(StopAsked{}), IsEmpty());
  EXPECT_THAT(rig.tell(StopAsked{}), ElementsAre("leave with error"));
}

}  // namespace
}  // namespace kiln::worker
