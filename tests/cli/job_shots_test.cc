#include "cli/farm/job_shots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/farm_limits.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

Result<JobDraft> parse(const std::string& text) { return parse_job_file(text, "k.toml", "/jobs"); }

std::string error_of(const std::string& text) {
  const auto draft = parse(text);
  if (draft) return "no error";
  EXPECT_EQ(exit_code(draft.error()), 78);
  EXPECT_EQ(draft.error().message.find('\n'), std::string::npos) << draft.error().message;
  return draft.error().message;
}

TEST(JobShotsTest, LeastFileHasEveryDefault) {
  const auto draft = parse("model = 'm'\n[[shot]]\nprompt = 'a fox'\n");
  ASSERT_TRUE(draft) << draft.error().message;
  EXPECT_EQ(draft->request.kind, net::JobKind::kGenerate);
  EXPECT_EQ(draft->model, "/jobs/m");
  ASSERT_EQ(draft->request.clips.size(), 1U);
  const net::ClipRequest& clip = draft->request.clips[0];
  EXPECT_EQ(clip.source.shot, (net::Shot{"a fox", "", 832, 480, 81, 50, 5.0, 0.0, 0.0, "", 0}));
  EXPECT_EQ(clip.source.path, "shot 1");
  EXPECT_EQ(clip.output.file_name, "shot_1.mkv");
}

TEST(JobShotsTest, TheJobsTableHoldsTheDefaultsOfAllShots) {
  const auto draft = parse(R"(model = 'm'
negative_prompt = 'blur'
size = '480x832'
frames = 5
steps = 20
cfg = 6
cfg_low_noise = 3.5
shift = 5.0
solver = 'euler'
seed = 9
codec = 'hevc'
frame_rate = '16'
[[shot]]
prompt = """two
lines"""
[[shot]]
prompt = ''
negative_prompt = ''
size = '64x32'
frames = 1
steps = 1
cfg = 1.5
cfg_low_noise = 0
shift = 1
solver = 'unipc'
seed = 10
output = 'b.mp4'
codec = 'h264'
frame_rate = '24'
)");
  ASSERT_TRUE(draft) << draft.error().message;
  const auto& clips = draft->request.clips;
  ASSERT_EQ(clips.size(), 2U);
  EXPECT_EQ(clips[0].source.shot, (net::Shot{"two\nlines", "blur", 480, 832, 5, 20, 6.0, 3.5, 5.0, "euler", 9}));
  EXPECT_EQ(clips[0].output.codec, "hevc");
  EXPECT_EQ(clips[0].output.frame_rate, "16");
  EXPECT_EQ(clips[1].source.shot, (net::Shot{"", "", 64, 32, 1, 1, 1.5, 0.0, 1.0, "unipc", 10}));
  EXPECT_EQ(clips[1].output.file_name, "b.mp4");
  EXPECT_EQ(clips[1].output.frame_rate, "24");
}

TEST(JobShotsTest, ShotsWithoutANameGetNumbers) {
  const auto draft = parse("model='m'\n[[shot]]\nprompt='a'\noutput='shot_2.mkv'\n[[shot]]\nprompt='b'\n");
  ASSERT_TRUE(draft) << draft.error().message;
  EXPECT_EQ(draft->request.clips[1].output.file_name, "shot_2_2.mkv");
}

struct BadCase {
  std::string name;
  std::string text;  // behind the first line
  std::string says;
};
class BadShotTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadShotTest, IsRefusedWithItsLine) {
  const std::string error = error_of("model = 'm'\n" + GetParam().text);
  EXPECT_THAT(error, StartsWith("k.toml, line "));
  EXPECT_THAT(error, HasSubstr(GetParam().says));
}

const std::string kShot = "[[shot]]\nprompt = 'a'\n";

INSTANTIATE_TEST_SUITE_P(
    All, BadShotTest,
    ::testing::Values(
        BadCase{"NoPrompt", "[[shot]]\nseed = 1\n", "line 2: a shot needs 'prompt'"},
        BadCase{"UnknownKey", kShot + "promt = 'b'\n", "line 4: unknown key 'promt', did you mean 'prompt'?"},
        BadCase{"NoSize", kShot + "size = '832'\n", "line 4: '832' is no size; 832x480 is one"},
        BadCase{"SizeWithSign", kShot + "size = '-16x16'\n", "is no size"},
        BadCase{"SizeWithTail", kShot + "size = '16x16p'\n", "is no size"},
        BadCase{"NoFrames", kShot + "frames = 0\n", "line 4: 'frames' is to be a whole number from 1"},
        BadCase{"HalfAFrame", kShot + "frames = 1.5\n", "'frames' is to be a whole number"},
        BadCase{"NoSteps", kShot + "steps = 0\n", "'steps' is to be a whole number from 1 to 1000"},
        BadCase{"GuidanceInWords", kShot + "cfg = 'six'\n", "'cfg' is to be a number from 0 to 1000"},
        BadCase{"NegativeGuidance", kShot + "cfg = -1\n", "'cfg' is to be a number"},
        BadCase{"NotANumber", kShot + "cfg = nan\n", "'cfg' is to be a number"},
        BadCase{"OneGuidedExpert", kShot + "cfg = 1\ncfg_low_noise = 3\n", "line 5: guidance for the low-noise expert beside none"},
        BadCase{"HugeShift", kShot + "shift = 1001\n", "'shift' is to be a number from 0 to 1000"},
        BadCase{"OtherSolver", kShot + "solver = 'dpm'\n", "'solver' is one of"},
        BadCase{"NegativeSeed", kShot + "seed = -1\n", "'seed' is to be a whole number from 0"},
        BadCase{"LongPrompt", "[[shot]]\nprompt = '" + std::string(net::kPromptBytesMax + 1, 'a') + "'\n", "16385 bytes; at most 16384"},
        BadCase{"PromptOfNumbers", "[[shot]]\nprompt = 5\n", "'prompt' is to be a text"},
        BadCase{"TwoOfOneName", kShot + "output = 'a.mp4'\n" + kShot + "output = 'a.mp4'\n", "the output of another clip already"},
        BadCase{"Path", kShot + "output = 'b/a.mp4'\n", "not a path"},
        BadCase{"ClipsToo", kShot + "[[clip]]\nsource = 'a.mp4'\n", "[[clip]] or [[shot]], not both"},
        BadCase{"Scale", "scale = '2'\n" + kShot, "line 2: 'scale' is for jobs with [[clip]]"},
        BadCase{"SegmentFrames", "segment_frames = 5\n" + kShot, "'segment_frames' is for jobs with [[clip]]"},
        BadCase{"ScaleOfAShot", kShot + "scale = '2'\n", "unknown key 'scale'"},
        BadCase{"Compiled", "executor = 'compiled'\n" + kShot, "shots are not compiled yet"},
        BadCase{"FramesOfClips", "frames = 81\n[[clip]]\nsource = 'a.mp4'\n", "line 2: 'frames' is for jobs with [[shot]]"},
        BadCase{"NoTables", "shot = 3\n", "'shot' is to be written [[shot]]"}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace kiln::cli
