// A lane with several tasks: what runs beside what, and what becomes of the others when one ends badly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <map>

#include "tests/worker/farm/fake_farm.h"
#include "worker/process_memory.h"

namespace kiln::worker {
namespace {

class SideBySideTest : public FarmWorkerTest {
 protected:
  // Two segments of one lane, of which the first is far from its end and the second was told to the lane.
  void run_two() {
    start_worker();
    probe(make_clip("clip.mkv", 3000));
    first_ = assign(segment_spec(0, 3000));
    second_ = assign(segment_spec(0, 10));
    coordinator_.say(first_);
    ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
    coordinator_.say(second_);
    ASSERT_TRUE(coordinator_.wait_for([&] { return std::filesystem::exists(folder_of(second_)); }));
  }
  std::string folder_of(const net::Assign& task) const {
    return fmt::format("{}/work/{}-{}", folder_ / "worker", task.task, task.attempt.value);
  }
  net::Assign first_;
  net::Assign second_;
};

TEST_F(SideBySideTest, SegmentIsBegunWhileAnotherIsRenderedAndOutlivesItsEnd) {
  run_two();
  EXPECT_FALSE(coordinator_.hear<net::TaskDone>(std::chrono::milliseconds(0)));
  coordinator_.say(net::CancelTask{first_.task, first_.attempt, "test"});
  const auto done = coordinator_.hear<net::TaskDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->task, second_.task);
  EXPECT_EQ(std::get<net::SegmentResult>(done->result).last, 10);
  EXPECT_FALSE(std::filesystem::exists(folder_of(first_)));
}

TEST_F(SideBySideTest, SegmentBesideOneWhoseLaneWasKilledIsRenderedByTheNextLane) {
  run_two();
  for (const pid_t pid : lane_pids()) {
    const auto name = read_file(fmt::format("/proc/{}/comm", pid), 64);
    if (name && name->starts_with("kiln-lane")) ::kill(pid, SIGKILL);
  }
  const auto failed = coordinator_.hear<net::TaskFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->task, first_.task);
  EXPECT_EQ(failed->fault.kind, net::FailureKind::kCrash) << failed->fault.message;
  const auto done = coordinator_.hear<net::TaskDone>();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->task, second_.task);
  EXPECT_EQ(done->attempt, second_.attempt);
}

TEST_F(SideBySideTest, BothResultsAreThoseOfSegmentsRenderedOneByOne) {
  start_worker();
  probe(make_clip("clip.mkv", 60));
  const auto hashes = [&](const net::TaskDone& done) { return std::get<net::SegmentResult>(done.result).frame_hashes; };
  const std::string alone = hashes(run(assign(segment_spec(0, 30)))) + hashes(run(assign(segment_spec(30, 60))));
  const net::Assign a = assign(segment_spec(0, 30));
  const net::Assign b = assign(segment_spec(30, 60));
  coordinator_.say(a);
  coordinator_.say(b);
  std::map<std::uint64_t, std::string> both;
  for (int i = 0; i < 2; ++i) {
    const auto done = coordinator_.hear<net::TaskDone>();
    ASSERT_TRUE(done);
    both[done->task] = hashes(*done);
  }
  EXPECT_EQ(both[a.task] + both[b.task], alone);
}

TEST_F(SideBySideTest, ProbeRunsWhileASegmentIsRendered) {
  start_worker();
  probe(make_clip("clip.mkv", 3000));
  coordinator_.say(assign(segment_spec(0, 3000)));
  ASSERT_TRUE(coordinator_.hear<net::TaskProgress>());
  const net::TaskDone probed = run(assign(net::ProbeSpec{source_, output_, {1ULL << 30U}}));
  EXPECT_EQ(std::get<net::ProbeResult>(probed.result).frames, 3000);
}

}  // namespace
}  // namespace kiln::worker
