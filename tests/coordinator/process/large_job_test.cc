// A job of a million frames: its whole status is larger than a message, and nobody waits for it in vain.
#include <gmock/gmock.h>

#include "cli/farm/job_status.h"
#include "tests/base/temp_folder.h"
#include "tests/coordinator/farm_env.h"
#include "tests/coordinator/process/coordinator_process.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kFrames = 1'000'000;
constexpr std::int64_t kSegment = 1'000;
constexpr unsigned kLanes = 100;

net::TaskResult result_of(const net::Assign& task) {
  if (const auto* segment = std::get_if<net::SegmentSpec>(&task.spec)) {
    net::SegmentResult result;
    result.first = segment->first;
    result.last = segment->last;
    result.frame_hashes.assign(static_cast<std::size_t>(net::kFrameHashBytes * (segment->last - segment->first)), 'h');
    result.segment = {std::string(64, 'b'), 1};
    return result;
  }
  if (std::holds_alternative<net::JoinSpec>(task.spec)) return net::JoinResult{kFrames, {std::string(64, 'd'), 1}, {}};
  net::ProbeResult probe;
  probe.frames = kFrames;
  probe.tiles.push_back({1ULL << 30U, 0, std::string(64, 'c'), 32, 32, 1, 1024});
  return probe;
}

TEST(LargeJobTest, IsAnsweredInPagesAndRefusedAsAWhole) {
  const kiln::test::TempFolder folder;
  const CoordinatorProcess farm(folder.path());
  ASSERT_TRUE(farm.up()) << farm.said();
  const auto client = farm.client();
  ASSERT_NE(client, nullptr);
  BareWorker worker(farm.notice().endpoint);
  worker.say(hello_of("a", kLanes));
  ASSERT_TRUE(client->ask_for<net::Done>(net::Submit{JobBuilder("long").executor("uncompiled").segment_frames(kSegment).request}));
  for (bool joined = false; !joined;) {
    const auto task = worker.wait_for<net::Assign>();
    ASSERT_NE(task.task, 0U);
    joined = std::holds_alternative<net::JoinSpec>(task.spec);
    worker.say(net::TaskDone{task.task, task.attempt, result_of(task), {}});
  }
  std::uint64_t revision = 0;
  for (bool done = false; !done;) {
    const auto status = client->ask_for<net::JobStatus>(net::GetJob{"long", revision, 1'000, net::JobDetail::kClips});
    ASSERT_TRUE(status) << status.error().message;
    revision = status->revision;
    done = status->summary.state == net::JobState::kDone;
  }
  const auto whole = client->ask(net::GetJob{"long"});
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(whole.error().message, HasSubstr("at most 8388608: ask for less of the job (GetJob: detail, clips_max, from_frame"));
  EXPECT_THAT(farm.http("/metrics"), HasSubstr("kiln_messages_too_large_total"));
  const auto status = cli::ask_job_status(*client, "long", net::JobDetail::kSegments);
  ASSERT_TRUE(status) << status.error().message;
  ASSERT_EQ(status->clips.size(), 1U);
  ASSERT_EQ(status->clips[0].segments.size(), static_cast<std::size_t>(kFrames / kSegment));
  EXPECT_EQ(status->clips[0].segments.back().last, kFrames);
  net::GetJob page{"long"};
  page.from_frame = kFrames / 2;
  page.segments_max = 100;
  const auto hashes = client->ask_for<net::JobStatus>(page);
  ASSERT_TRUE(hashes) << hashes.error().message;
  ASSERT_EQ(hashes->clips[0].segments.size(), 100U);
  EXPECT_EQ(hashes->clips[0].segments[0].frame_hashes.size(), static_cast<std::size_t>(net::kFrameHashBytes * kSegment));
}

}  // namespace
}  // namespace kiln::coordinator::test
