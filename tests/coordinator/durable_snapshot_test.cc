#include "coordinator/durable_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tests/coordinator/durable_filler.h"
#include "tests/coordinator/farm_env.h"

namespace kiln::coordinator::test {
namespace {

using ::testing::HasSubstr;

Durable state_of(const std::vector<net::Fact>& facts, std::size_t from, std::size_t to, Durable durable = {}) {
  for (std::size_t i = from; i < to; ++i) apply_fact(durable, facts[i]);
  return durable;
}

TEST(DurableSnapshotTest, EveryFieldOfEveryRecordComesBack) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Durable durable;
    DurableFiller(seed).fill(durable);
    const auto back = decode_durable(encode_durable(durable), 1);
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_EQ(*back, durable) << "seed " << seed;
  }
}

TEST(DurableSnapshotTest, OfNothingThereIsOneToo) {
  const auto back = decode_durable(encode_durable(Durable{}), 1);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, Durable{});
}

TEST(DurableSnapshotTest, ThreadsChangeNothing) {
  Durable durable;
  DurableFiller(7).fill(durable);
  for (TaskNumber i = 1'000; i < 9'000; ++i) durable.tasks[i].job = "job";
  const std::string bytes = encode_durable(durable);
  for (const unsigned threads : {1U, 2U, 5U}) EXPECT_EQ(*decode_durable(bytes, threads), durable) << threads;
}

TEST(DurableSnapshotTest, WhatIsCutOffOrOtherwiseWrongIsRefused) {
  Durable durable;
  DurableFiller(3).fill(durable);
  const std::string bytes = encode_durable(durable);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 97) {
    const auto back = decode_durable(std::string_view(bytes).substr(0, cut), 2);
    ASSERT_FALSE(back) << cut;
    EXPECT_EQ(back.error().code, ErrorCode::kDataLoss) << back.error().message;
  }
  std::string wrong = bytes;
  wrong.back() = static_cast<char>(0xff);
  EXPECT_FALSE(decode_durable(wrong, 1));
  std::string twice = bytes + bytes;
  EXPECT_FALSE(decode_durable(twice, 1));
}

TEST(DurableSnapshotTest, ANewerFormatIsRefusedNamingBoth) {
  std::string bytes = encode_durable(Durable{});
  const std::size_t format = bytes.find('\x08', 4);  // behind the length: the tag of Head.format, then its value
  ASSERT_NE(format, std::string::npos);
  bytes[format + 1] = 9;
  const auto back = decode_durable(bytes, 1);
  ASSERT_FALSE(back);
  EXPECT_EQ(exit_code(back.error()), 7);
  EXPECT_THAT(back.error().message, HasSubstr("has format 9; this program reads formats up to 1"));
}

// A farm's whole life at random: clients, workers, failures, silence.
void act(FarmEnv& farm, int what, int who) {
  const std::string job = "job-" + std::to_string(who % 3);
  const std::string worker = std::string(1, static_cast<char>('a' + who % 3));
  const bool here = farm.state.live.workers.contains(worker) && farm.state.live.workers.at(worker).connected;
  switch (what) {
    case 0: (void)farm.ask(net::Submit{JobBuilder(job, 1 + who % 2).executor(who % 2 == 0 ? "any" : "compiled").request}); return;
    case 1:
      if (!here) farm.connect(WorkerBuilder(worker, 2).instance(worker + std::to_string(who)));
      return;
    case 2:
    case 3:
    case 4:
      if (!here) return;
      for (const net::Assign& task : farm.take_assigns(worker)) farm.finish(worker, task);
      return;
    case 5: {
      if (!here) return;
      for (const net::Assign& task : farm.take_assigns(worker)) {
        farm.fail(worker, task, static_cast<net::FailureKind>(who % 7), "for some reason");
      }
      return;
    }
    case 6: farm.pass(std::chrono::milliseconds(who * 700)); return;
    case 7: (void)farm.ask(net::ControlJob{job, static_cast<net::JobVerb>(who % 5)}); return;
    case 8: (void)farm.ask(net::Drain{worker, who % 2 == 0}); return;
    default: return;
  }
}

RC_GTEST_PROP(DurableSnapshotPropertyTest, AnyPrefixOfFactsThroughASnapshotGivesTheSameState, ()) {
  FarmEnv farm;
  const auto script = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 9), rc::gen::inRange(0, 30)));
  act(farm, 1, 0);
  act(farm, 0, 0);
  for (const auto& [what, who] : script) act(farm, what, who);
  const std::vector<net::Fact>& facts = farm.journal;
  const std::size_t cut = *rc::gen::inRange<std::size_t>(0, facts.size() + 1);
  const Durable at_cut = state_of(facts, 0, cut);
  auto through = decode_durable(encode_durable(at_cut), 2);
  RC_ASSERT(through.has_value());
  RC_ASSERT(*through == at_cut);
  const Durable end = state_of(facts, cut, facts.size(), std::move(*through));
  RC_ASSERT(end == state_of(facts, 0, facts.size()));
  RC_ASSERT(end == farm.state.durable);
}

}  // namespace
}  // namespace kiln::coordinator::test
