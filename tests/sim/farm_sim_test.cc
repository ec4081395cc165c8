#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/sim_farm.h"

namespace kiln::sim {
namespace {

using coordinator::SeededBug;

constexpr std::uint64_t kSeeds = 340;     // of the run without bugs
constexpr std::uint64_t kBugSeeds = 200;  // within which each bug is found
constexpr std::uint64_t kEventsLeast = 5'000'000;

std::string told(std::uint64_t seed, const SimResult& result) {
  std::string out = "seed " + std::to_string(seed) + ": " + result.violation + "\n";
  for (const std::string& line : result.last_events) out += line + "\n";
  return out;
}

TEST(FarmSimTest, NothingIsLostOrDoneTwiceWhateverHappens) {
  std::uint64_t events = 0;
  std::map<std::string, std::uint64_t> counts;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SimResult result = run_farm(seed, SimProfile{});
    events += result.events;
    for (const auto& [what, count] : result.counts) counts[what] += count;
    ASSERT_EQ(result.violation, "") << told(seed, result);
  }
  // A simulator in which nothing goes wrong finds nothing.
  for (const char* what : {"coordinator is killed", "worker is killed", "worker is cut off", "worker leaves", "a lane crashes", "out of memory",
                           "a lane hangs", "a transfer fails", "cancelled", "a clock jumps", "the coordinator dies between two effects",
                           "a worker dies between two effects", "the journal's disk is full", "the store takes nothing"}) {
    EXPECT_GT(counts[what], 10U) << what;
  }
  EXPECT_GE(events, kEventsLeast);
  RecordProperty("events", std::to_string(events));
}

TEST(FarmSimTest, TheSameSeedGivesTheSameRun) {
  const SimResult one = run_farm(7, SimProfile{});
  const SimResult two = run_farm(7, SimProfile{});
  EXPECT_EQ(one.events, two.events);
  EXPECT_EQ(one.last_events, two.last_events);
}

class SeededBugTest : public ::testing::TestWithParam<SeededBug> {};

TEST_P(SeededBugTest, IsFoundWithin200Seeds) {
  SimProfile profile;
  profile.bug = GetParam();
  std::string found;
  for (std::uint64_t seed = 1; seed <= kBugSeeds && found.empty(); ++seed) found = run_farm(seed, profile).violation;
  EXPECT_NE(found, "");
  RecordProperty("violation", found);
}

INSTANTIATE_TEST_SUITE_P(Bugs, SeededBugTest,
                         ::testing::Values(SeededBug::kAcknowledgeBeforeJournal, SeededBug::kStaleAttemptAccepted,
                                           SeededBug::kDoubleAssignmentAfterPartition, SeededBug::kLostFence,
                                           SeededBug::kForgottenSegmentAfterRestart, SeededBug::kEvictedInput,
                                           SeededBug::kCancelThatResurrects, SeededBug::kRetryWithoutEnd));

}  // namespace
}  // namespace kiln::sim
