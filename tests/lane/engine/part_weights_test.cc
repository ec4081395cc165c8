// Weights of a text-to-video model, from files written here: every way in which a tensor may be stored.
#include "lane/engine/part_weights.h"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lane/engine/weight_read_ahead.h"
#include "tests/base/temp_folder.h"

namespace kiln::lane {
namespace {

const std::string kDigest(64, 'a');

struct Entry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::uint8_t> bytes;
};

// A safetensors file; returns its size.
std::uintmax_t write_tensors(const std::string& path, const std::vector<Entry>& entries) {
  nlohmann::json header;
  std::size_t end = 0;
  for (const Entry& entry : entries) {
    header[entry.name] = {{"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {end, end + entry.bytes.size()}}};
    end += entry.bytes.size();
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof(length));
  out << text;
  for (const Entry& entry : entries) {
    out.write(reinterpret_cast<const char*>(entry.bytes.data()), static_cast<std::streamsize>(entry.bytes.size()));
  }
  out.close();
  return std::filesystem::file_size(path);
}

std::string row(int index, const std::string& parameter, const std::string& file, const std::string& name,
                const std::string& dtype, const std::string& scale = "") {
  return "[[tensor]]\nweights = \"one\"\ncomponent = \"block\"\nindex = " + std::to_string(index) + "\nparameter = \"" + parameter +
         "\"\nfile = \"weights/" + file + "\"\nname = \"" + name + "\"\ndtype = \"" + dtype + "\"\n" +
         (scale.empty() ? "" : "scale = \"" + scale + "\"\n");
}

// Two blocks of a weight and a gain of high precision, in two shards.
class PartWeightsTest : public testing::Test {
 protected:
  PartWeightsTest() {
    // 1, 2 as bfloat16; 0.5, 1.5 as float16; 1, -2 as eight bits (e4m3), scaled by 0.25
    write("a.safetensors", {{"0.w", "BF16", {2}, {0x80, 0x3F, 0x00, 0x40}}, {"0.g", "F16", {2}, {0x00, 0x38, 0x00, 0x3E}}});
    write("b.safetensors", {{"1.w", "F8_E4M3", {2}, {0x38, 0xC0}}, {"1.s", "F32", {}, {0x00, 0x00, 0x80, 0x3E}},
                            {"1.g", "F32", {2}, {0x01, 0x00, 0x80, 0x3F, 0x00, 0x00, 0x00, 0x40}}});
  }
  void write(const std::string& file, const std::vector<Entry>& entries) {
    sizes_[file] = write_tensors(folder_ / ("weights/" + file), entries);
  }
  Result<PartWeights> open() {
    std::string text =
        "format_version = 1\nkind = \"generator\"\nfamily = \"wan\"\nname = \"sample\"\n[scheduler]\nkind = \"unipc\"\nshift = 3.0\n"
        "[tokenizer]\nfile = \"spiece.model\"\nsha256 = \"" + kDigest + "\"\n[text]\nwidth = 8\nvocabulary = 8\n"
        "[transformer]\nwidth = 8\nheads = 2\nfeed_forward = 8\npatch = [1, 2, 2]\ngrid_max = 8\n"
        "[latents]\nchannels = 1\nstride_time = 4\nstride_space = 8\nmean = [0.0]\nstd = [1.0]\n"
        "[[weights]]\nname = \"one\"\npart = \"transformer\"\n";
    for (const auto& [file, bytes] : sizes_) {
      text += "[[file]]\nfile = \"weights/" + file + "\"\nbytes = " + std::to_string(bytes) + "\nsha256 = \"" + kDigest + "\"\n";
    }
    text += "[[component]]\nname = \"block\"\npart = \"transformer\"\nrepeat = 2\ninputs = [\"hidden\"]\noutputs = [\"hidden\"]\n"
            "[[graph]]\ncomponent = \"block\"\ndtype = \"float32\"\nfile = \"graphs/block.pt2\"\nsha256 = \"" + kDigest + "\"\n"
            "[[parameter]]\ncomponent = \"block\"\nname = \"w\"\nshape = [2]\nhigh_precision = false\n"
            "[[parameter]]\ncomponent = \"block\"\nname = \"g\"\nshape = [2]\nhigh_precision = true\n" +
            row(0, "w", "a.safetensors", "0.w", "bfloat16") + row(0, "g", "a.safetensors", "0.g", "float16") +
            row(1, "w", "b.safetensors", "1.w", "float8_e4m3fn", "1.s") + row(1, "g", "b.safetensors", "1.g", "float32");
    std::ofstream(folder_ / "manifest.toml") << text;
    KILN_TRY_ASSIGN(GeneratorPackage package, GeneratorPackage::open(files_of_folder(folder_.path())));
    package_.emplace(std::move(package));
    return PartWeights::open(*package_, "one");
  }
  std::string error_of_open() {
    const auto weights = open();
    return weights ? "none" : weights.error().message;
  }

  test::TempFolder folder_;
  std::map<std::string, std::uintmax_t> sizes_;
  std::optional<GeneratorPackage> package_;
};

void expect_values(const at::Tensor& tensor, c10::ScalarType type, std::vector<float> values) {
  EXPECT_EQ(tensor.scalar_type(), type);
  const at::Tensor found = tensor.to(at::kFloat);
  ASSERT_EQ(found.numel(), static_cast<std::int64_t>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(found[static_cast<std::int64_t>(i)].item<float>(), values[i]);
}

TEST_F(PartWeightsTest, AreCastToTheGraphsTypeButForThoseOfHighPrecision) {
  const auto weights = open();
  ASSERT_TRUE(weights) << weights.error().message;
  const auto block = weights->load("block", 0, sharding::GraphDtype::kBfloat16, "cpu");
  ASSERT_TRUE(block) << block.error().message;
  ASSERT_EQ(block->size(), 2U);
  expect_values((*block)[0], at::kBFloat16, {1, 2});
  expect_values((*block)[1], at::kFloat, {0.5, 1.5});
  expect_values(weights->load("block", 0, sharding::GraphDtype::kFloat32, "cpu").value()[0], at::kFloat, {1, 2});
}

TEST_F(PartWeightsTest, OfEightBitsAreMultipliedByTheirScale) {
  const auto weights = open();
  ASSERT_TRUE(weights) << weights.error().message;
  for (const auto dtype : {sharding::GraphDtype::kFloat32, sharding::GraphDtype::kBfloat16, sharding::GraphDtype::kFloat16}) {
    const auto block = weights->load("block", 1, dtype, "cpu");
    ASSERT_TRUE(block) << block.error().message;
    EXPECT_EQ((*block)[0].to(at::kFloat)[0].item<float>(), 0.25F);
    EXPECT_EQ((*block)[0].to(at::kFloat)[1].item<float>(), -0.5F);
    expect_values((*block)[1], at::kFloat, {1.00000012F, 2});
  }
}

TEST_F(PartWeightsTest, OfARepetitionThatIsNotThereAreRefused) {
  const auto weights = open();
  ASSERT_TRUE(weights) << weights.error().message;
  const auto block = weights->load("block", 2, sharding::GraphDtype::kFloat32, "cpu");
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().message, "one has no block 2");
}

TEST_F(PartWeightsTest, ThatAreNoLongerWhatTheManifestSaysAreRefused) {
  write("a.safetensors", {{"0.w", "F16", {2}, {0x00, 0x38, 0x00, 0x3E}}, {"0.g", "F16", {2}, {0x00, 0x38, 0x00, 0x3E}}});
  const auto weights = open();
  ASSERT_TRUE(weights) << weights.error().message;
  const auto block = weights->load("block", 0, sharding::GraphDtype::kFloat32, "cpu");
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().message, "weights/a.safetensors: tensor '0.w' is float16 of 2, the manifest says bfloat16 of 2");
  EXPECT_EQ(exit_code(block.error()), 65);
}

TEST_F(PartWeightsTest, InAFileThatIsMissingCutOrAFolderAreRefused) {
  sizes_["a.safetensors"] += 1;
  EXPECT_NE(error_of_open().find("bytes, and the manifest says"), std::string::npos);
  std::filesystem::remove(folder_ / "weights/a.safetensors");
  EXPECT_NE(error_of_open().find("a.safetensors: No such file"), std::string::npos);
  std::filesystem::create_directory(folder_ / "weights/a.safetensors");
  EXPECT_NE(error_of_open(), "none");
}

TEST_F(PartWeightsTest, MayLieBehindLinks) {
  const test::TempFolder elsewhere;
  const std::string file = folder_ / "weights/a.safetensors";
  std::filesystem::rename(file, elsewhere / "a");
  std::filesystem::create_symlink(elsewhere / "a", file);
  const auto weights = open();
  ASSERT_TRUE(weights) << weights.error().message;
  EXPECT_TRUE(weights->load("block", 0, sharding::GraphDtype::kFloat32, "cpu"));
  std::filesystem::remove(elsewhere / "a");
  EXPECT_NE(error_of_open().find("a.safetensors: No such file"), std::string::npos);
}

TEST_F(PartWeightsTest, AreReadAheadFileByFileAndWhatCannotBeReadIsLeftToTheirReader) {
  ASSERT_TRUE(open());
  EXPECT_EQ(WeightReadAhead(*package_, "one").finish(), sizes_["a.safetensors"] + sizes_["b.safetensors"]);
  EXPECT_EQ(WeightReadAhead(*package_, "another").finish(), 0U);
  std::filesystem::remove(folder_ / "weights/b.safetensors");
  EXPECT_EQ(WeightReadAhead(*package_, "one").finish(), sizes_["a.safetensors"]);
}

}  // namespace
}  // namespace kiln::lane
