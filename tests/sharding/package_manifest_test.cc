#include "sharding/package/package_manifest.h"

#include <gtest/gtest.h>

#include <string>

namespace kiln::sharding {
namespace {

const std::string kDigest(64, 'a');

std::string sample() {
  return "format_version = 1\nkind = \"upscaler\"\nname = \"sample\"\narchitecture = \"Compact\"\n"
         "source_sha256 = \"\"\nscale = 4\nchannels = 3\nsize_multiple = 2\nsize_minimum = 16\n"
         "size_square = false\nframes_before = 1\nframes_after = 2\n"
         "[tiling]\nkind = \"approximate\"\nhalo = 18\ndifference = 0.001\n"
         "[weights]\nfile = \"weights/network.safetensors\"\nsha256 = \"" + kDigest + "\"\n"
         "[[graph]]\ncomponent = \"network\"\nfile = \"graphs/a.pt2\"\nsha256 = \"" + kDigest +
         "\"\ndtype = \"float32\"\ndynamic = true\nheight_min = 16\nheight_max = 4096\nwidth_min = 16\n"
         "width_max = 2048\n"
         "[[graph]]\ncomponent = \"network\"\nfile = \"graphs/b.pt2\"\nsha256 = \"" + kDigest +
         "\"\ndtype = \"float32\"\ndynamic = false\nheight = 128\nwidth = 256\n"
         "[[parameter]]\ncomponent = \"network\"\nname = \"w\"\nshape = [64, 3, 3, 3]\ndtype = \"float32\"\n"
         "keep_dtype = false\nchannels_last = true\n";
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = sample();
  const std::size_t position = text.find(from);
  EXPECT_NE(position, std::string::npos) << from;
  return text.replace(position, from.size(), to);
}

TEST(PackageManifestTest, ReadsEveryField) {
  const auto manifest = parse_package_manifest(sample(), "manifest.toml");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->name, "sample");
  EXPECT_EQ(manifest->scale, 4);
  EXPECT_EQ(manifest->frames(), 4);
  EXPECT_EQ(manifest->tiling.kind, TilingKind::kApproximate);
  EXPECT_EQ(manifest->tiling.halo, 18);
  ASSERT_EQ(manifest->graphs.size(), 2U);
  EXPECT_EQ(manifest->graphs[1].height_max, 128);
  ASSERT_EQ(manifest->parameters.size(), 1U);
  EXPECT_EQ(manifest->parameters[0].shape, (std::vector<std::int64_t>{64, 3, 3, 3}));
  EXPECT_TRUE(manifest->parameters[0].channels_last);
}

TEST(PackageManifestTest, FindsTheStaticGraphFirst) {
  const auto manifest = parse_package_manifest(sample(), "manifest.toml");
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->find_graph(GraphDtype::kFloat32, 128, 256), &manifest->graphs[1]);
  EXPECT_EQ(manifest->find_graph(GraphDtype::kFloat32, 128, 258), &manifest->graphs[0]);
  EXPECT_EQ(manifest->find_graph(GraphDtype::kFloat32, 8, 256), nullptr);
  EXPECT_EQ(manifest->find_graph(GraphDtype::kFloat16, 128, 256), nullptr);
}

struct BadManifest {
  const char* name;
  const char* from;
  const char* to;
  const char* says;
};

class BadManifestTest : public testing::TestWithParam<BadManifest> {};

TEST_P(BadManifestTest, IsRefusedWithLineAndReason) {
  const auto manifest = parse_package_manifest(with(GetParam().from, GetParam().to), "manifest.toml");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(exit_code(manifest.error()), 65);
  EXPECT_NE(manifest.error().message.find(GetParam().says), std::string::npos) << manifest.error().message;
  EXPECT_NE(manifest.error().message.find("manifest.toml"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadManifestTest,
    testing::Values(
        BadManifest{"UnknownKey", "scale = 4", "scale = 4\nsize_mutliple = 3", "Did you mean 'size_multiple'"},
        BadManifest{"UnknownKeyLine", "scale = 4", "scale = 4\nsize_mutliple = 3", "line 7"},
        BadManifest{"UnknownKeyInGraph", "dynamic = true", "dynamic = true\nheigth_min = 3", "height_min"},
        BadManifest{"WrongType", "scale = 4", "scale = \"4\"", "line 6: 'scale' must be a whole number"},
        BadManifest{"OutOfBounds", "scale = 4", "scale = 400", "outside"},
        BadManifest{"Missing", "scale = 4\n", "", "'scale' is missing"},
        BadManifest{"NewerFormat", "format_version = 1", "format_version = 2", "use a newer Kiln"},
        BadManifest{"OlderFormat", "format_version = 1", "format_version = 0", "import the model again"},
        BadManifest{"NoFormat", "format_version = 1\n", "", "no package of Kiln"},
        BadManifest{"PathOutside", "graphs/a.pt2", "../a.pt2", "inside the package"},
        BadManifest{"AbsolutePath", "graphs/a.pt2", "/etc/passwd", "inside the package"},
        BadManifest{"BadDigest", "[weights]\nfile = \"weights/network.safetensors\"\nsha256 = \"a",
                    "[weights]\nfile = \"weights/network.safetensors\"\nsha256 = \"Z", "hexadecimal"},
        BadManifest{"BadKind", "kind = \"upscaler\"", "kind = \"oracle\"", "line 2"},
        BadManifest{"NotToml", "scale = 4", "scale 4", "not TOML"},
        BadManifest{"TableWithoutAKey", "[[graph]]", "[[%x]]", "not TOML: "},
        BadManifest{"HalfARange", "height_max = 4096\n", "", "'height_max' is missing"}),
    [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace kiln::sharding
