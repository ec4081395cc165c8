#include "cli/farm/job_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "net/farm_limits.h"
#include "net/farm_names.h"
#include "tests/base/temp_folder.h"

namespace kiln::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kLeast = "model = 'm'\n[[clip]]\nsource = 'in.mp4'\n";

Result<JobDraft> parse(const std::string& text) { return parse_job_file(text, "k.toml", "/jobs"); }

// The message of the error; what every error keeps to is checked here.
std::string error_of(const std::string& text) {
  const auto draft = parse(text);
  if (draft) return "no error";
  EXPECT_EQ(exit_code(draft.error()), 78);
  EXPECT_THAT(draft.error().message, StartsWith("k.toml"));
  EXPECT_EQ(draft.error().message.find('\n'), std::string::npos) << draft.error().message;
  return draft.error().message;
}

TEST(JobFileTest, LeastFileHasEveryDefault) {
  const auto draft = parse(kLeast);
  ASSERT_TRUE(draft) << draft.error().message;
  const net::JobRequest& job = draft->request;
  EXPECT_EQ(draft->model, "/jobs/m");
  EXPECT_FALSE(draft->in_place);
  EXPECT_EQ(job.title, "k");
  EXPECT_THAT(job.job, StartsWith("k-"));
  EXPECT_EQ(job.kind, net::JobKind::kUpscale);
  EXPECT_EQ(job.executor, "any");
  EXPECT_EQ(job.numerics, "strict");
  EXPECT_EQ(job.precision, "auto");
  EXPECT_EQ(job.priority, 0);
  EXPECT_FALSE(job.paused);
  EXPECT_EQ(job.segment_frames, 0);
  EXPECT_THAT(job.variants, IsEmpty());
  ASSERT_EQ(job.clips.size(), 1U);
  EXPECT_EQ(job.clips[0].source.path, "/jobs/in.mp4");
  net::OutputSettings plain;
  plain.file_name = "in_up.mkv";
  EXPECT_EQ(job.clips[0].output, plain);
}

TEST(JobFileTest, EveryKeyOfTheJobIsRead) {
  const auto draft = parse(
      "title = 'Film, reel 1'\nmodel = '/models/m'\nowner = 'ann'\npool = 'day'\npriority = -7\npaused = true\n"
      "executor = 'compiled'\nnumerics = 'tolerant'\nprecision = 'float16'\nafter = ['first-1', 'first-2']\nin_place = true\n"
      "segment_frames = 48\n[[clip]]\nsource = '/a/b.mov'\n");
  ASSERT_TRUE(draft) << draft.error().message;
  const net::JobRequest& job = draft->request;
  EXPECT_EQ(job.title, "Film, reel 1");
  EXPECT_THAT(job.job, StartsWith("film-reel-1-"));
  EXPECT_EQ(draft->model, "/models/m");
  EXPECT_EQ(job.owner, "ann");
  EXPECT_EQ(job.pool, "day");
  EXPECT_EQ(job.priority, -7);
  EXPECT_TRUE(job.paused);
  EXPECT_EQ(job.executor, "compiled");
  EXPECT_EQ(job.numerics, "tolerant");
  EXPECT_EQ(job.precision, "float16");
  EXPECT_THAT(job.depends_on, ElementsAre("first-1", "first-2"));
  EXPECT_TRUE(draft->in_place);
  EXPECT_EQ(job.segment_frames, 48);
  EXPECT_EQ(job.clips[0].source.path, "/a/b.mov");
}

TEST(JobFileTest, ClipsHaveTheJobsOutputSettingsUnlessTheySayOthers) {
  const auto draft = parse(
      "model = 'm'\ncodec = 'hevc'\nquality = 20\npreset = 'slow'\npixel_format = 'yuv420p10le'\nscale = '2'\n"
      "frame_rate = '24'\ndeinterlace = true\n[[clip]]\nsource = 'a.mp4'\n"
      "[[clip]]\nsource = 'b.mp4'\noutput = 'named.mov'\ncodec = 'prores'\nquality = -1\npreset = ''\n"
      "pixel_format = 'yuv422p10le'\nscale = '1920x1080'\nframe_rate = '30000/1001'\ndeinterlace = false\n");
  ASSERT_TRUE(draft) << draft.error().message;
  EXPECT_EQ(draft->request.clips[0].output,
            (net::OutputSettings{"a_up.mkv", "hevc", 20, "slow", "yuv420p10le", "2", "24", true}));
  EXPECT_EQ(draft->request.clips[1].output,
            (net::OutputSettings{"named.mov", "prores", -1, "", "yuv422p10le", "1920x1080", "30000/1001", false}));
}

TEST(JobFileTest, VariantsKeepTheirOrder) {
  const auto draft = parse(std::string(kLeast) + "[[variant]]\nname = 'large'\n[[variant]]\nname = 'small'\nbudget_mib = 512\n");
  ASSERT_TRUE(draft) << draft.error().message;
  EXPECT_THAT(draft->request.variants, ElementsAre(net::Variant{"large", 0}, net::Variant{"small", 512ULL << 20U}));
}

TEST(JobFileTest, CompileSettingsAreRead) {
  const std::string clip = "model = 'm'\n[[clip]]\nsource = 'a'\n";
  EXPECT_EQ(parse(clip)->request.compile, net::CompileSettings());
  EXPECT_EQ(parse(clip + "[compile]\n")->request.compile, net::CompileSettings());
  const auto draft = parse(clip +
                           "[compile]\nbackend = 'inductor'\nmode = 'max-autotune-no-cudagraphs'\ndynamic = false\nfullgraph = true\n"
                           "compile_transformer_blocks_only = false\ndynamo_cache_size_limit = 8\ndynamo_recompile_limit = 16\n"
                           "force_parameter_static_shapes = true\nallow_unmerged_lora_compile = true\n");
  ASSERT_TRUE(draft) << draft.error().message;
  EXPECT_EQ(draft->request.compile,
            (net::CompileSettings{"inductor", "max-autotune-no-cudagraphs", false, false, true, 8, 16, true, true}));
}

TEST(JobFileTest, RelativePathsBeginAtTheFilesFolder) {
  const auto draft = parse("model = '../models/m'\n[[clip]]\nsource = './reel/../in.mp4'\n");
  ASSERT_TRUE(draft);
  EXPECT_EQ(draft->model, "/models/m");
  EXPECT_EQ(draft->request.clips[0].source.path, "/jobs/in.mp4");
}

TEST(JobFileTest, OutputsWithoutANameGetOneEach) {
  const auto draft = parse(
      "model = 'm'\n[[clip]]\nsource = 'x/a.mp4'\n[[clip]]\nsource = 'y/a.mov'\n[[clip]]\nsource = 'b.mp4'\n"
      "output = 'a_up_2.mkv'\n");
  ASSERT_TRUE(draft);
  std::set<std::string> names;
  for (const net::ClipRequest& clip : draft->request.clips) names.insert(clip.output.file_name);
  EXPECT_THAT(names, ElementsAre("a_up.mkv", "a_up_2.mkv", "a_up_3.mkv"));
}

struct BadFile {
  const char* name;
  const char* text;  // the whole file
  const char* says;
  int line;  // 0: of the file as a whole
};

class BadJobFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadJobFileTest, IsRefusedWithItsLine) {
  const std::string message = error_of(GetParam().text);
  EXPECT_THAT(message, HasSubstr(GetParam().says));
  const int line = GetParam().line;
  if (line == 0) return;
  EXPECT_THAT(message, HasSubstr("line " + std::to_string(line) + ":"));
}

#define KILN_CLIP "[[clip]]\nsource = 'a'\n"
INSTANTIATE_TEST_SUITE_P(
    Files, BadJobFileTest,
    ::testing::Values(
        BadFile{"NoToml", "model = 'm'\n= 1\n", "", 2}, BadFile{"Empty", "", "'model'", 0},
        BadFile{"TableWithoutAKey", "model = 'm'\n[[%x]]\n", "saw '%'", 2},
        BadFile{"NoModel", KILN_CLIP, "'model' names no package", 0}, BadFile{"NoClip", "model = 'm'\n", "[[clip]]", 0},
        BadFile{"UnknownKey", "model = 'm'\nprioritty = 1\n" KILN_CLIP, "unknown key 'prioritty', did you mean 'priority'?", 2},
        BadFile{"UnknownKeyFarFromAny", "model = 'm'\nzzzzzzzzz = 1\n" KILN_CLIP, "unknown key 'zzzzzzzzz'", 2},
        BadFile{"UnknownKeyOfClip", "model = 'm'\n[[clip]]\nsource = 'a'\noutptu = 'b'\n", "did you mean 'output'?", 4},
        BadFile{"UnknownKeyOfVariant", "model = 'm'\n" KILN_CLIP "[[variant]]\nname = 'v'\nbudget = 1\n", "unknown key 'budget'", 6},
        BadFile{"TextIsNumber", "model = 3\n" KILN_CLIP, "'model' is to be a text", 1},
        BadFile{"FlagIsText", "model = 'm'\npaused = 'yes'\n" KILN_CLIP, "'paused' is to be true or false", 2},
        BadFile{"NumberIsText", "model = 'm'\npriority = '1'\n" KILN_CLIP, "'priority' is to be a whole number", 2},
        BadFile{"NumberIsFraction", "model = 'm'\nquality = 1.5\n" KILN_CLIP, "'quality' is to be a whole number", 2},
        BadFile{"ListIsText", "model = 'm'\nafter = 'a'\n" KILN_CLIP, "'after' is to be a list of texts", 2},
        BadFile{"ListOfNumbers", "model = 'm'\nafter = [\n'a',\n1]\n" KILN_CLIP, "'after' is to be a list of texts", 4},
        BadFile{"ClipIsTable", "model = 'm'\n[clip]\nsource = 'a'\n", "'clip' is to be written [[clip]]", 2},
        BadFile{"ClipIsListOfTexts", "model = 'm'\nclip = ['a']\n", "'clip' is to be written [[clip]]", 2},
        BadFile{"VariantIsTable", "model = 'm'\n" KILN_CLIP "[variant]\nname = 'v'\n", "'variant' is to be written [[variant]]", 4},
        BadFile{"ClipWithoutSource", "model = 'm'\n[[clip]]\noutput = 'b.mkv'\n", "a clip needs 'source'", 2},
        BadFile{"OutputWithoutContainer", "model = 'm'\n[[clip]]\nsource = 'a'\noutput = '50%.png'\n", "50%.png: a sequence", 2},
        BadFile{"OutputIsPath", "model = 'm'\n[[clip]]\nsource = 'a'\noutput = 'b/c.mkv'\n", "not a path", 0},
        BadFile{"SameOutputTwice",
                "model = 'm'\n[[clip]]\nsource = 'a'\noutput = 'o.mkv'\n[[clip]]\nsource = 'b'\noutput = 'o.mkv'\n",
                "'o.mkv'", 5},
        BadFile{"Executor", "model = 'm'\nexecutor = 'fast'\n" KILN_CLIP, "'executor' is one of any, compiled, uncompiled", 2},
        BadFile{"Precision", "model = 'm'\nprecision = 'fp16'\n" KILN_CLIP,
                "'precision' is one of auto, float32, float16, bfloat16", 2},
        BadFile{"Numerics", "model = 'm'\nnumerics = 'loose'\n" KILN_CLIP, "'numerics' is one of strict, tolerant", 2},
        BadFile{"Codec", "model = 'm'\ncodec = 'vp8'\n" KILN_CLIP, "'codec' is one of", 2},
        BadFile{"CompileIsList", "model = 'm'\n" KILN_CLIP "[[compile]]\nmode = 'default'\n", "'compile' is to be written [compile]", 0},
        BadFile{"CompileIsText", "model = 'm'\ncompile = 'default'\n" KILN_CLIP, "'compile' is to be written [compile]", 2},
        BadFile{"UnknownKeyOfCompile", "model = 'm'\n" KILN_CLIP "[compile]\nmod = 'default'\n", "did you mean 'mode'?", 5},
        BadFile{"UnknownMode", "model = 'm'\n" KILN_CLIP "[compile]\nmode = 'max-autotun'\n",
                "unknown compile mode 'max-autotun'. Did you mean 'max-autotune'?", 5},
        BadFile{"UnknownBackend", "model = 'm'\n" KILN_CLIP "[compile]\nmode = 'default'\nbackend = 'inducter'\n",
                "Did you mean 'inductor'?", 6},
        BadFile{"ModeThatIsNotThere", "model = 'm'\n" KILN_CLIP "[compile]\nmode = 'reduce-overhead'\n",
                "record none; use default, or max-autotune-no-cudagraphs", 5},
        BadFile{"BackendThatIsNotThere", "model = 'm'\n" KILN_CLIP "[compile]\nbackend = 'cudagraphs'\n", "use inductor", 5},
        BadFile{"DynamicShapes", "model = 'm'\n" KILN_CLIP "[compile]\nmode = 'max-autotune'\ndynamic = true\n",
                "dynamic = true is not to be had", 6},
        BadFile{"LimitOfNone", "model = 'm'\n" KILN_CLIP "[compile]\ndynamo_cache_size_limit = 0\n", "from 1 to 65536", 5},
        BadFile{"PriorityTooHigh", "model = 'm'\npriority = 1000001\n" KILN_CLIP, "-1000000 to 1000000", 2},
        BadFile{"QualityTooLow", "model = 'm'\nquality = -2\n" KILN_CLIP, "-1 to 255", 2},
        BadFile{"SegmentTooLong", "model = 'm'\nsegment_frames = 100001\n" KILN_CLIP, "0 to 100000", 2},
        BadFile{"BudgetTooLarge", "model = 'm'\n" KILN_CLIP "[[variant]]\nbudget_mib = 1048577\n", "0 to 1048576", 5}),
    [](const auto& one) { return one.param.name; });

TEST(JobFileTest, BoundsOfListsHold) {
  std::string clips = "model = 'm'\n";
  for (std::size_t i = 0; i <= kJobClipsMax; ++i) clips += "[[clip]]\nsource = 'a'\n";
  EXPECT_THAT(error_of(clips), HasSubstr("more than 10000 clips"));
  std::string variants = kLeast;
  for (std::size_t i = 0; i <= net::kVariantsMax; ++i) variants += "[[variant]]\nname = 'v'\n";
  EXPECT_THAT(error_of(variants), HasSubstr("more than 16 variants"));
  std::string after = "after = [";
  for (std::size_t i = 0; i <= net::kDependenciesMax; ++i) after += "'a',";
  EXPECT_THAT(error_of(after + "]\n" + kLeast), HasSubstr("more than 1000"));
}

TEST(JobFileTest, TextsThatNoMessageHoldsAreRefusedBeforeAnythingIsSent) {
  EXPECT_THAT(error_of(std::string("title = \"a\\nb\"\n") + kLeast), HasSubstr("'title' is to be one line"));
  EXPECT_THAT(error_of("pool = '" + std::string(net::kLabelBytesMax + 1, 'p') + "'\n" + kLeast), HasSubstr("'pool'"));
  EXPECT_THAT(error_of(std::string("preset = 'very slow'\n") + kLeast), HasSubstr("'preset'"));
  EXPECT_THAT(error_of(std::string("after = ['No Name']\n") + kLeast), HasSubstr("'after'"));
}

TEST(JobFileTest, FileIsReadAndNamesItself) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/My Job.toml";
  std::ofstream(path) << kLeast;
  const auto draft = read_job_file(path);
  ASSERT_TRUE(draft) << draft.error().message;
  EXPECT_EQ(draft->request.title, "My Job");
  EXPECT_EQ(draft->model, std::filesystem::path(folder.path() + "/m").lexically_normal().string());
  const auto missing = read_job_file(folder.path() + "/none.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(exit_code(missing.error()), 66);
}

TEST(JobNameTest, IsValidWhateverTheTitle) {
  for (const std::string& title : {std::string("Film, Reel 1"), std::string(), std::string("---"), std::string("Größe"),
                                   std::string(5000, 'x'), std::string("\0\n", 2), std::string("A")}) {
    const net::JobName name = make_job_name(title);
    EXPECT_TRUE(net::valid_job_name(name)) << name;
    EXPECT_NE(name.front(), '-');
    EXPECT_EQ(name.find("--"), std::string::npos) << name;
  }
  EXPECT_THAT(make_job_name(""), StartsWith("job-"));
  EXPECT_NE(make_job_name("same"), make_job_name("same"));
}

}  // namespace
}  // namespace kiln::cli
