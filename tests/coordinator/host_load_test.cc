// Cores of hosts: what segments tell of them, and what the coordinator makes of it.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/coordinator/probed_farm.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kLongClip = 100'000;
constexpr double kSlow = 0.1;  // seconds a frame

// A model that could do 50 frames a second, and an encoder that takes most of the cores.
net::SegmentResult heavy_media() {
  net::SegmentResult out;
  out.model_s = 0.02;
  out.decode_core_s = 0.01;
  out.model_core_s = 0.01;
  out.encode_core_s = 0.15;
  return out;
}

struct HostFarm : FarmEnv {
  explicit HostFarm(net::SegmentResult cost = heavy_media()) {
    one_segment_at_a_time();
    clip_frames = kLongClip;
    frame_cost = std::move(cost);
  }
  void join(const std::string& name, int lanes, int cores, const std::string& host = {}, const std::string& pool = {}) {
    WorkerBuilder worker(name, lanes);
    worker.no_compiler().pool(pool);
    worker.hello.cores = cores;
    worker.hello.host = host;
    connect(worker);
  }
  // The clip is probed; the first segments, of lanes whose speeds nobody knows, are out.
  std::vector<net::Assign> begin(const std::vector<std::string>& workers) {
    submit(JobBuilder("job").executor("uncompiled"));
    finish(workers.front(), take_assign(workers.front()));
    std::vector<net::Assign> out;
    for (const std::string& name : workers) {
      for (net::Assign& task : take_assigns(name)) out.push_back(std::move(task));
    }
    return out;
  }
  std::int64_t next_length(const std::string& worker, const net::Assign& task) {
    finish(worker, task, kSlow);
    const net::Assign next = take_assign(worker);
    return segment(next).last - segment(next).first;
  }
  // A job of the lanes of one pool, at its second segment: what its frames take is known.
  net::Assign second_segment(const std::string& worker, const std::string& pool) {
    submit(JobBuilder(pool).executor("uncompiled").pool(pool));
    finish(worker, take_assign(worker));
    finish(worker, take_assign(worker), kSlow);
    return take_assign(worker);
  }
  std::vector<std::string> explain() { return std::get<net::Explanation>(ask(net::Explain{0, "job"})).lines; }
};

TEST(CoordinatorHostTest, SegmentsAreAsLongAsTheCoresOfTheirHostLetThemBe) {
  HostFarm farm;
  farm.join("a", 2, 2);
  const auto first = farm.begin({"a"});
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(farm.next_length("a", first[0]), 100) << "ten seconds of the ten frames a second that one lane was measured at";
  EXPECT_EQ(farm.next_length("a", first[1]), 59) << "each frame takes 0.17 s of a core, and each lane has one";
  EXPECT_EQ(farm.explain().at(1),
            "a: 1.8 of 2 host cores go to encoders, which are enough for 11.8 of the 100.0 frames a second of its lanes (a faster "
            "preset or codec, or lanes on other hosts, would give more)");
}

TEST(CoordinatorHostTest, WhereNetworksTakeTheCoresNoPresetWouldHelp) {
  net::SegmentResult cost = heavy_media();
  std::swap(cost.model_core_s, cost.encode_core_s);
  HostFarm farm(cost);
  farm.join("a", 2, 2);
  const auto first = farm.begin({"a"});
  ASSERT_EQ(first.size(), 2U);
  for (const net::Assign& task : first) (void)farm.next_length("a", task);
  EXPECT_EQ(farm.explain().at(1), "a: 1.8 of 2 host cores go to networks, which are enough for 11.8 of the 100.0 frames a second of its "
                                  "lanes (lanes on other hosts would give more)");
}

TEST(CoordinatorHostTest, WorkersThatNameTheSameCoresShareThem) {
  for (const bool same : {true, false}) {
    HostFarm farm;
    farm.join("a", 1, 2, "x");
    farm.join("b", 1, 2, same ? "x" : "y");
    const auto first = farm.begin({"a", "b"});
    ASSERT_EQ(first.size(), 2U);
    EXPECT_EQ(farm.next_length("a", first[0]), 100);
    EXPECT_EQ(farm.next_length("b", first[1]), same ? 59 : 100);
    const auto lines = farm.explain();
    EXPECT_THAT(lines, Contains(HasSubstr(same ? "a, b: 1.8 of 2 host cores go to encoders"
                                               : "b: its lanes take 1.7 of its 2 cores, 0.1 to decode, 0.1 for the network, 1.5 to encode")));
  }
}

// Two jobs, each of a worker of its own, on one host and on two.
TEST(CoordinatorHostTest, LanesThatRenderOtherClipsTakeTheirPartOfTheCores) {
  for (const std::string other : {"x", "y"}) {
    HostFarm farm;
    farm.join("a", 1, 2, "x", "red");
    farm.join("b", 1, 2, other, "blue");
    const net::Assign beside = farm.second_segment("b", "blue");
    net::Assign own = farm.second_segment("a", "red");
    const auto lines = [&] { return std::get<net::Explanation>(farm.ask(net::Explain{0, "red"})).lines; };
    EXPECT_EQ(segment(own).last - segment(own).first, other == "x" ? 59 : 100);
    EXPECT_THAT(lines(), Contains(HasSubstr(other == "x" ? "a, b: 1.0 of 2 host cores go to other clips, and the rest is enough for "
                                                           "5.9 of the 50.0 frames a second of its lanes (lanes on other hosts "
                                                           "would give more)"
                                                         : "a: its lanes take 1.7 of its 2 cores")));
    (void)farm.ask(net::ControlJob{"blue", net::JobVerb::kCancel});
    EXPECT_EQ(farm.take<net::CancelTask>("b").size(), 1U);
    farm.finish("a", own, kSlow);
    own = farm.take_assign("a");
    EXPECT_EQ(segment(own).last - segment(own).first, 100) << "nobody is beside it any more";
    EXPECT_THAT(lines(), Not(Contains(HasSubstr("other clips"))));
  }
}

TEST(CoordinatorHostTest, OfLanesThatDoNotCountThemCoresHoldNobodyBack) {
  HostFarm farm(net::SegmentResult{});
  farm.join("a", 2, 1);
  const auto first = farm.begin({"a"});
  EXPECT_EQ(farm.next_length("a", first[0]), 100);
  EXPECT_EQ(farm.next_length("a", first[1]), 100);
  EXPECT_THAT(farm.explain(), Not(Contains(HasSubstr("cores"))));
}

TEST(CoordinatorHostTest, CostsAreSumsInTheStatusOfAJob) {
  HostFarm farm;
  farm.join("a", 1, 2);
  const auto first = farm.begin({"a"});
  farm.finish("a", first.at(0), kSlow);
  const net::LaneShare share = farm.status("job").lanes.at(0);
  EXPECT_EQ(share.frames, 16);
  EXPECT_DOUBLE_EQ(share.decode_core_s, 0.16);
  EXPECT_DOUBLE_EQ(share.model_core_s, 0.16);
  EXPECT_DOUBLE_EQ(share.encode_core_s, 2.4);
  EXPECT_EQ(farm.replayed().durable, farm.state.durable);
}

// Four lanes that had two cores each to themselves are more than one that was twice as fast; not where they share two.
TEST(CoordinatorHostTest, AClassWhoseHostCannotFeedItGivesWay) {
  for (const int cores : {8, 2}) {
    FarmEnv farm;
    farm.frame_cost = heavy_media();
    WorkerBuilder many("a", 4);
    many.no_compiler().pool("many").hello.cores = cores;
    farm.connect(many);
    WorkerBuilder one("b", 1);
    one.no_compiler().isa("avx512").pool("one").hello.cores = 8;
    farm.connect(one);
    for (const auto& [pool, worker, speed] : {std::tuple{"many", "a", kSlow}, std::tuple{"one", "b", kSlow / 2}}) {
      farm.submit(JobBuilder(fmt::format("teach-{}", pool)).executor("uncompiled").pool(pool));
      for (auto tasks = farm.take_assigns(worker); !tasks.empty(); tasks = farm.take_assigns(worker)) {
        for (const net::Assign& task : tasks) farm.finish(worker, task, speed);
      }
    }
    farm.submit(JobBuilder("job").executor("uncompiled"));
    for (const std::string worker : {"a", "b"}) {
      for (const net::Assign& task : farm.take_assigns(worker)) farm.finish(worker, task);
    }
    ASSERT_TRUE(farm.job("job").clips.at(0).plan);
    EXPECT_EQ(farm.job("job").clips[0].plan->kind.isa, cores == 8 ? "avx2" : "avx512") << cores;
  }
}

TEST(CoordinatorHostTest, ThePlanSaysWhatHoldsItsLanesBack) {
  HostFarm farm;
  farm.join("a", 2, 2);
  farm.clip_frames = 200;
  for (const std::string job : {"first", "second"}) {
    farm.submit(JobBuilder(job).executor("uncompiled"));
    farm.run_to_end();
  }
  const std::string& reason = farm.job("second").clips.at(0).plan->reason;
  EXPECT_THAT(reason, HasSubstr("a: its 2 cores are enough for 11.8 of the 100.0 frames a second of its lanes: 1.8 of 2 host cores "
                                "go to encoders"));
  EXPECT_THAT(farm.job("first").clips.at(0).plan->reason, Not(HasSubstr("cores")));
}

}  // namespace
}  // namespace kiln::coordinator::test
