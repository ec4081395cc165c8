#include "net/farm_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "tests/net/farm/fact_samples.h"
#include "tests/net/farm/filled.h"

namespace kiln::net {
namespace {

constexpr std::uint64_t kSeeds = 40;

TEST(FarmCodecTest, EveryFieldOfEveryMessageSurvives) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (const FarmMessage& message : test::each_message(seed)) {
      const std::string bytes = encode(message);
      const auto back = decode_farm_message(bytes);
      ASSERT_TRUE(back) << back.error().message << "; body " << message.body.index();
      EXPECT_EQ(*back, message) << "body " << message.body.index() << ", seed " << seed;
      EXPECT_EQ(encode(*back), bytes);
    }
  }
}

TEST(FarmCodecTest, EveryFieldOfEveryFactSurvives) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (const Fact& fact : test::each_alternative<Fact>(seed)) {
      const auto back = decode_fact(encode(fact));
      ASSERT_TRUE(back) << back.error().message << "; kind " << fact.index();
      EXPECT_EQ(*back, fact) << "kind " << fact.index() << ", seed " << seed;
    }
  }
}

// The test above is worth as much as this one: nothing in what it sends has its default.
TEST(FarmCodecTest, FilledValuesHaveNoDefaults) {
  test::Filler filler(7);
  JobRequest request;
  filler.fill(request);
  const JobRequest empty;
  EXPECT_NE(request.kind == JobKind::kNoop, request.kind == JobKind::kUpscale);
  EXPECT_TRUE(request.paused);
  EXPECT_NE(request.title, empty.title);
  EXPECT_NE(request.executor, empty.executor);
  EXPECT_NE(request.numerics, empty.numerics);
  EXPECT_NE(request.noop_tasks, empty.noop_tasks);
  EXPECT_FALSE(request.clips.empty());
  EXPECT_EQ(test::field_count<JobRequest>(), 18U);
  EXPECT_NE(request.compile, empty.compile);
  EXPECT_EQ(test::field_count<CompileSettings>(), 9U);
  EXPECT_EQ(test::field_count<SegmentResult>(), 19U);
}

TEST(FarmCodecTest, EachCompileSettingIsSentAloneAndDefaultsAreNot) {
  const JobRequest plain = [] {
    JobRequest request;
    request.job = "job";
    return request;
  }();
  const auto bytes_of = [](const JobRequest& request) {
    FarmMessage message;
    message.body = ClientRequest(Submit{request});
    return encode(message);
  };
  const std::vector<std::function<void(CompileSettings&)>> changes{
      [](auto& s) { s.backend = "cudagraphs"; },
      [](auto& s) { s.mode = "max-autotune"; },
      [](auto& s) { s.dynamic = true; },
      [](auto& s) { s.compile_transformer_blocks_only = false; },
      [](auto& s) { s.fullgraph = true; },
      [](auto& s) { s.dynamo_cache_size_limit = 1; },
      [](auto& s) { s.dynamo_recompile_limit = 1; },
      [](auto& s) { s.force_parameter_static_shapes = true; },
      [](auto& s) { s.allow_unmerged_lora_compile = true; },
  };
  std::set<std::string> all{bytes_of(plain)};
  for (const auto& change : changes) {
    JobRequest request = plain;
    change(request.compile);
    const std::string bytes = bytes_of(request);
    EXPECT_TRUE(all.insert(bytes).second);
    const auto back = decode_farm_message(bytes);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(std::get<Submit>(std::get<ClientRequest>(back->body)).request, request);
  }
  EXPECT_EQ(bytes_of(plain).find("inductor"), std::string::npos);
}

TEST(FarmCodecTest, TextsOfPeopleNeedNotBeUtf8) {
  const std::string latin = "d\xe9j\xe0 vu";
  FarmMessage message;
  message.body = ClientReply(Explanation{{latin}});
  const auto back = decode_farm_message(encode(message));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, message);
}

TEST(FarmCodecTest, TextsAreMadeOneShortLine) {
  const std::string text = "first\nsecond\t" + std::string("\x1b[31m", 5) + std::string(2 * kTextBytesMax, 'x');
  FarmMessage message;
  message.body = ClientReply(Done{text});
  const auto back = decode_farm_message(encode(message));
  ASSERT_TRUE(back) << back.error().message;
  const auto& note = std::get<Done>(std::get<ClientReply>(back->body)).note;
  EXPECT_EQ(note.size(), kTextBytesMax);
  EXPECT_TRUE(note.starts_with("first second  [31mxx"));
}

TEST(FarmCodecTest, ATextIsNotCutWithinACharacter) {
  std::string text(kTextBytesMax - 1, 'x');
  text += "\xe2\x82\xac";  // one character that begins on the last byte that fits
  FarmMessage message;
  message.body = ClientReply(Done{text});
  const auto back = decode_farm_message(encode(message));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(std::get<Done>(std::get<ClientReply>(back->body)).note, std::string(kTextBytesMax - 1, 'x'));
}

TEST(FarmCodecTest, ARateOfNothingByNothingIsNothing) {
  WorkerStatus status;
  status.worker = "w";
  status.heard_s_ago = std::nan("");
  status.lanes.resize(1);
  status.lanes[0].frames_per_second = std::numeric_limits<double>::infinity();
  FarmMessage message;
  message.body = ClientReply(WorkerList{{status}});
  const auto back = decode_farm_message(encode(message));
  ASSERT_TRUE(back) << back.error().message;
  const auto& list = std::get<WorkerList>(std::get<ClientReply>(back->body));
  EXPECT_EQ(list.workers[0].heard_s_ago, 0.0);
  EXPECT_EQ(list.workers[0].lanes[0].frames_per_second, 0.0);
}

TEST(FarmCodecTest, EveryEnumValueSurvives) {
  for (int i = 0; i < test::values_of(JobState{}); ++i) {
    const Fact fact = JobEnded{"j", static_cast<JobState>(i), "", 1.0};
    EXPECT_EQ(decode_fact(encode(fact)).value(), fact);
  }
  for (int i = 0; i < test::values_of(JobVerb{}); ++i) {
    const Fact fact = JobControlled{"j", static_cast<JobVerb>(i), 1.0};
    EXPECT_EQ(decode_fact(encode(fact)).value(), fact);
  }
  for (int i = 0; i < test::values_of(FailureKind{}); ++i) {
    const Fact fact = AttemptEnded{1, Attempt{1}, {static_cast<FailureKind>(i), "internal", "m", -1}, {}, false, 1.0};
    EXPECT_EQ(decode_fact(encode(fact)).value(), fact);
  }
  for (int i = 0; i < test::values_of(TaskKind{}); ++i) {
    Assigned assigned;
    assigned.job = "j";
    assigned.worker = "w";
    assigned.kind = static_cast<TaskKind>(i);
    EXPECT_EQ(decode_fact(encode(Fact(assigned))).value(), Fact(assigned));
  }
}

TEST(FarmCodecTest, EveryErrorKeepsCodeAndExit) {
  for (const Error& error : {input_refused("broken"), make_error(ErrorCode::kNotFound, "no job"),
                             make_error(ErrorCode::kFailedPrecondition, ExitCode::kVersionMismatch, "old")}) {
    FarmMessage message;
    message.body = ClientReply(Refused{error});
    const auto back = decode_farm_message(encode(message));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(*back, message);
    EXPECT_EQ(exit_code(std::get<Refused>(std::get<ClientReply>(back->body)).error), exit_code(error));
  }
}

}  // namespace
}  // namespace kiln::net
