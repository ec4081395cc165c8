#include "sharding/package/generator_manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "sharding/package/package_manifest.h"

namespace kiln::sharding {
namespace {

const std::string kDigest(64, 'a');

std::string tensor(const std::string& weights, int index, const std::string& dtype = "bfloat16") {
  return "[[tensor]]\nweights = \"" + weights + "\"\ncomponent = \"block\"\nindex = " + std::to_string(index) +
         "\nparameter = \"w\"\nfile = \"weights/a.safetensors\"\nname = \"blocks." + std::to_string(index) +
         ".w\"\ndtype = \"" + dtype + "\"\n";
}

// Two experts of two blocks with one parameter.
std::string sample() {
  return "format_version = 1\nkind = \"generator\"\nfamily = \"wan\"\nname = \"sample\"\narchitecture = \"Wan\"\n"
         "boundary_ratio = 0.875\n"
         "[scheduler]\nkind = \"unipc\"\nshift = 3.0\n"
         "[tokenizer]\nfile = \"tokenizer/spiece.model\"\nsha256 = \"" + kDigest + "\"\n"
         "[text]\nwidth = 4096\nvocabulary = 256384\n"
         "[transformer]\nwidth = 5120\nheads = 40\nfeed_forward = 13824\npatch = [1, 2, 2]\ngrid_max = 1024\n"
         "[latents]\nchannels = 2\nstride_time = 4\nstride_space = 8\nmean = [-0.5, 1]\nstd = [2.5, 1.0]\n"
         "[[weights]]\nname = \"transformer\"\npart = \"transformer\"\n"
         "[[weights]]\nname = \"transformer_2\"\npart = \"transformer\"\n"
         "[[file]]\nfile = \"weights/a.safetensors\"\nbytes = 100\nsha256 = \"" + kDigest + "\"\n"
         "[[component]]\nname = \"block\"\npart = \"transformer\"\nrepeat = 2\ninputs = [\"hidden\"]\noutputs = [\"hidden\"]\n"
         "[[graph]]\ncomponent = \"block\"\ndtype = \"bfloat16\"\nfile = \"graphs/block.pt2\"\nsha256 = \"" + kDigest + "\"\n"
         "[[parameter]]\ncomponent = \"block\"\nname = \"w\"\nshape = [4, 3]\nhigh_precision = true\n" +
         tensor("transformer", 0) + tensor("transformer", 1) +
         tensor("transformer_2", 0, "float8_e4m3fn") + "scale = \"blocks.0.scale\"\n" + tensor("transformer_2", 1);
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = sample();
  const std::size_t position = text.find(from);
  EXPECT_NE(position, std::string::npos) << from;
  return text.replace(position, from.size(), to);
}

TEST(GeneratorManifestTest, ReadsEveryField) {
  const auto manifest = parse_generator_manifest(sample(), "manifest.toml");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->boundary_ratio, 0.875);
  EXPECT_EQ(manifest->scheduler, "unipc");
  EXPECT_EQ(manifest->latent_mean, (std::vector<double>{-0.5, 1.0}));
  EXPECT_EQ(manifest->patch, (std::vector<std::int64_t>{1, 2, 2}));
  ASSERT_NE(manifest->find_component("block"), nullptr);
  EXPECT_EQ(manifest->find_component("block")->repeat, 2);
  EXPECT_EQ(manifest->find_component("head"), nullptr);
  ASSERT_EQ(manifest->parameters_of("block").size(), 1U);
  EXPECT_TRUE(manifest->parameters_of("block")[0]->high_precision);
  ASSERT_EQ(manifest->tensors.size(), 4U);
  EXPECT_EQ(manifest->tensors[2].dtype, ElementType::kFloat8E4m3);
  EXPECT_EQ(manifest->tensors[2].scale, "blocks.0.scale");
}

// `kiln run upscale --model` and everybody else who renders clips reads manifests with the other function.
TEST(GeneratorManifestTest, IsRefusedWhereAnUpscalerIsWanted) {
  const auto manifest = parse_package_manifest(sample(), "manifest.toml");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(exit_code(manifest.error()), 65);
  EXPECT_EQ(manifest.error().message,
            "manifest.toml: a text-to-video model, which takes no clips: name the package of an upscaler or a module");
}

struct BadGenerator {
  const char* name;
  std::string from;
  std::string to;
  const char* says;
};

class BadGeneratorTest : public testing::TestWithParam<BadGenerator> {};

TEST_P(BadGeneratorTest, IsRefusedWithReason) {
  const auto manifest = parse_generator_manifest(with(GetParam().from, GetParam().to), "manifest.toml");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(exit_code(manifest.error()), 65);
  EXPECT_NE(manifest.error().message.find(GetParam().says), std::string::npos) << manifest.error().message;
  EXPECT_NE(manifest.error().message.find("manifest.toml"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadGeneratorTest,
    testing::Values(
        BadGenerator{"UnknownKey", "grid_max = 1024", "grid_max = 1024\ngrid_min = 1", "line 22"},
        BadGenerator{"OtherKind", "\"generator\"", "\"upscaler\"", "line 2: 'kind' must be"},
        BadGenerator{"OtherFamily", "\"wan\"", "\"sora\"", "line 3"},
        BadGenerator{"NewerFormat", "format_version = 1", "format_version = 2", "use a newer Kiln"},
        BadGenerator{"RatioOfOne", "0.875", "1.0", "between 0 and 1"},
        BadGenerator{"PathOutside", "graphs/block.pt2", "../block.pt2", "inside the package"},
        BadGenerator{"MeanTooShort", "mean = [-0.5, 1]", "mean = [-0.5]", "each channel"},
        BadGenerator{"MeanNotANumber", "mean = [-0.5, 1]", "mean = [-0.5, nan]", "finite"},
        BadGenerator{"PatchOfZero", "patch = [1, 2, 2]", "patch = [1, 0, 2]", "above zero"},
        BadGenerator{"RepeatTooLarge", "repeat = 2", "repeat = 5000", "outside 1..4096"},
        BadGenerator{"TensorMissing", tensor("transformer", 1), "", "no tensor for w of block 1 in transformer"},
        BadGenerator{"TensorTwice", tensor("transformer", 1), tensor("transformer", 0), "or is there twice"},
        BadGenerator{"TensorOfNobody", tensor("transformer", 1), tensor("vae", 1), "has no place"},
        BadGenerator{"FileNotListed", "file = \"weights/a.safetensors\"\nbytes", "file = \"weights/b.safetensors\"\nbytes",
                     "which is not listed"},
        BadGenerator{"GraphOfNobody", "[[graph]]\ncomponent = \"block\"", "[[graph]]\ncomponent = \"stem\"", "of no component"},
        BadGenerator{"UnknownType", "\"float8_e4m3fn\"", "\"float4\"", "no known element type"},
        BadGenerator{"WeightsTwice", "name = \"transformer_2\"", "name = \"transformer\"", "two sets of weights"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(GeneratorManifestTest, GraphMustTakeWhatTheManifestSays) {
  const auto manifest = parse_generator_manifest(sample(), "manifest.toml");
  ASSERT_TRUE(manifest) << manifest.error().message;
  ExportedGraph graph;
  graph.values.resize(2);
  graph.values[1].tensor.sizes = {Expression::integer(4), Expression::integer(3)};
  graph.inputs = {0, 1};
  graph.outputs = {0};
  EXPECT_TRUE(check_generator_graph(*manifest, manifest->graphs[0], graph));
  graph.values[1].tensor.dtype = ElementType::kBfloat16;
  auto status = check_generator_graph(*manifest, manifest->graphs[0], graph);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("must be float32"), std::string::npos) << status.error().message;
  graph.values[1].tensor.dtype = ElementType::kFloat32;
  graph.values[1].tensor.sizes.pop_back();
  EXPECT_FALSE(check_generator_graph(*manifest, manifest->graphs[0], graph));
  graph.inputs.pop_back();
  status = check_generator_graph(*manifest, manifest->graphs[0], graph);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("it has 1 inputs, and the manifest lists 2"), std::string::npos);
}

}  // namespace
}  // namespace kiln::sharding
