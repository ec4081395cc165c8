// A true worker whose lanes load one package together. Cards and lanes are none: a library that answers as the driver's does,
// and processes that only load weights, by all that lanes have for it (tests/lane/share).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <regex>

#include "tests/worker/farm/fake_farm.h"

namespace kiln::worker {
namespace {

using ::testing::HasSubstr;

class SharingWorkerTest : public FarmWorkerTest {
 protected:
  void SetUp() override {
    FarmWorkerTest::SetUp();
    const std::string tests = std::string(std::getenv("KILN_BINARY_DIR")) + "/tests";
    set("LD_LIBRARY_PATH", tests + "/fake_nvml_new");
    set("KILN_LANE", tests + "/share_member");
    set("SHARE_MEMBER_NCCL", tests + "/libtest_nccl.so");
    set("KILN_WORKER_BROADCAST_MIN_MIB", "0");
    set("KILN_LOG_LEVEL", "info");
    // No lane probes here: what one would have found.
    probed_.description = store_.put("a description");
    probed_.tiles.resize(1);
    probed_.tiles[0].height = probed_.tiles[0].width = 64;
    probed_.output_width = probed_.output_height = 64;
    probed_.output_pixel_format = "yuv420p";
  }
  void TearDown() override {
    for (const std::string& name : set_) ::unsetenv(name.c_str());
    FarmWorkerTest::TearDown();
  }
  void set(const std::string& name, const std::string& value) {
    ::setenv(name.c_str(), value.c_str(), 1);
    set_.push_back(name);
  }
  void give_segment(std::uint32_t lane) {
    net::SegmentSpec spec = segment_spec(0, 10);
    spec.source = {true, folder_ / "no-clip.mkv", {}};
    coordinator_.say(assign(spec, lane));
  }
  std::string log() const { return read_file(folder_ / "worker.log", 1U << 20U).value_or(""); }
  // The line about the weights of that lane.
  std::string loaded(std::uint32_t lane) {
    const std::regex line(fmt::format("lane {}: [^\n]*MiB of weights in [^\n]*", lane));
    std::smatch found;
    std::string text;
    coordinator_.wait_for([&] {
      text = log();
      return std::regex_search(text, found, line);
    }, std::chrono::seconds(20));
    return found.empty() ? "no line in: " + text : found.str();
  }

 private:
  std::vector<std::string> set_;
};

TEST_F(SharingWorkerTest, LanesThatAreGivenSegmentsOfOnePackageLoadItTogether) {
  start_worker({"--device", "cuda"});
  give_segment(0);
  give_segment(1);
  EXPECT_THAT(loaded(0), HasSubstr(" 0.0 by broadcast"));
  EXPECT_THAT(loaded(1), HasSubstr(": 0.0 from this host's sealed copy, "));
  EXPECT_THAT(loaded(1), ::testing::Not(HasSubstr(" 0.0 by broadcast")));
}

TEST_F(SharingWorkerTest, LaneThatComesLaterLoadsAloneAndTheWorkerSaysSo) {
  start_worker({"--device", "cuda"});
  give_segment(0);
  EXPECT_THAT(loaded(0), HasSubstr("; no other lane loads them now"));
  give_segment(1);
  EXPECT_THAT(loaded(1), HasSubstr(" 0.0 by broadcast; no other lane loads them now"));
}

TEST_F(SharingWorkerTest, OneCardReadsTheHostsCopyAndTheWorkerSaysSo) {
  start_worker({"--device", "cuda:0"});
  give_segment(0);
  EXPECT_THAT(loaded(0), HasSubstr(" 0.0 by broadcast; there is one card"));
}

TEST_F(SharingWorkerTest, SmallWeightsAreReadFromTheHostsCopyByAll) {
  set("KILN_WORKER_BROADCAST_MIN_MIB", "64");
  start_worker({"--device", "cuda"});
  give_segment(0);
  give_segment(1);
  for (const std::uint32_t lane : {0U, 1U}) {
    EXPECT_THAT(loaded(lane), HasSubstr(" 0.0 by broadcast; they are smaller than worker.broadcast_min_mib"));
  }
}

// Whoever was killed, root or not: the other has its weights, and the worker says what happened.
TEST_F(SharingWorkerTest, LaneKilledInMidBroadcastLeavesTheOtherTheHostsCopy) {
  for (const std::uint32_t victim : {0U, 1U}) {
    set("SHARE_MEMBER_VICTIM", std::to_string(victim));
    start_worker({"--device", "cuda"});
    give_segment(0);
    give_segment(1);
    const auto failed = coordinator_.hear<net::TaskFailed>();
    ASSERT_TRUE(failed) << log();
    EXPECT_EQ(failed->fault.kind, net::FailureKind::kCrash) << failed->fault.message;
    EXPECT_THAT(loaded(1 - victim), HasSubstr(fmt::format("; lane {}: it is gone", victim)));
    worker_.kill_and_wait();
    std::filesystem::remove(folder_ / "worker.log");
  }
}

TEST_F(SharingWorkerTest, WithoutTheLibraryAllReadTheHostsCopyAndTheWorkerSaysWhy) {
  set("SHARE_MEMBER_NCCL", "/nowhere/libnccl.so.2");
  start_worker({"--device", "cuda"});
  give_segment(0);
  give_segment(1);
  for (const std::uint32_t lane : {0U, 1U}) EXPECT_THAT(loaded(lane), HasSubstr(" 0.0 by broadcast")) << log();
  EXPECT_THAT(log(), HasSubstr("weights are not broadcast: no NCCL (/nowhere/libnccl.so.2"));
}

}  // namespace
}  // namespace kiln::worker
