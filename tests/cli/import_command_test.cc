// `kiln import` as a user starts it: Python's exit codes and its one line arrive, and nothing half-made stays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/process.h"

namespace kiln::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
namespace fs = std::filesystem;

constexpr std::chrono::seconds kDeadline{240};

class ImportCommandTest : public ::testing::Test {
 protected:
  ImportCommandTest() {
    std::string pattern = ::testing::TempDir() + "/kiln-import-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream(folder_ + "/networks_here.py") << "import torch\n"
                                                    "class Net(torch.nn.Module):\n"
                                                    "    scale = 2\n"
                                                    "    def __init__(self):\n"
                                                    "        super().__init__()\n"
                                                    "        self.c = torch.nn.Conv2d(3, 12, 3, padding=1)\n"
                                                    "    def forward(self, x):\n"
                                                    "        return torch.pixel_shuffle(self.c(x), 2)\n"
                                                    "class Odd(Net):\n"
                                                    "    def forward(self, x):\n"
                                                    "        return super().forward(torch.special.bessel_j0(x))\n"
                                                    "def make(): return Net()\n"
                                                    "def odd(): return Odd()\n";
  }
  ~ImportCommandTest() override { fs::remove_all(folder_); }

  CommandOutput import(std::vector<std::string> arguments) {
    SpawnOptions options;
    options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln", "import"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.working_directory = folder_;
    options.set_env = {{"PYTHONDONTWRITEBYTECODE", "1"}};
    auto output = run_command(std::move(options), kDeadline);
    EXPECT_TRUE(output) << output.error().message;
    return output ? std::move(*output) : CommandOutput{};
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }

  std::string folder_;
};

TEST_F(ImportCommandTest, ModuleBecomesAPackageAndJsonSaysWhatItIs) {
  const CommandOutput output =
      import({"module", "networks_here:make", "-o", "package", "--tile-shape", "16x24", "--dtype", "float32", "--json"});
  ASSERT_EQ(output.status.exit_code, 0) << output.err;
  const auto json = nlohmann::json::parse(output.out);
  EXPECT_EQ(json["scale"], 2);
  EXPECT_EQ(json["graphs"], 1);
  EXPECT_EQ(json["tiling"]["kind"], "exact");
  EXPECT_EQ(json["tiling"]["halo"], 1);
  EXPECT_TRUE(fs::exists(folder_ + "/package/graphs/network-float32-16x24.pt2"));
}

TEST_F(ImportCommandTest, OperatorOffTheListIsRefusedAndThePackageIsRemoved) {
  const CommandOutput output =
      import({"module", "networks_here:odd", "-o", "package", "--tile-shape", "16x16", "--dtype", "float32"});
  EXPECT_EQ(output.status.exit_code, 65);
  EXPECT_THAT(output.err, HasSubstr("special_bessel_j0"));
  EXPECT_THAT(files(), ::testing::ElementsAre("networks_here.py"));
}

TEST_F(ImportCommandTest, FailuresKeepTheirExitCodeAndAreOneLine) {
  std::ofstream(folder_ + "/cut.pth") << "not a checkpoint";
  fs::create_directory(folder_ + "/taken");
  const std::vector<std::pair<std::vector<std::string>, int>> rows = {
      {{"upscaler", "cut.pth", "-o", "new"}, 65},
      {{"upscaler", "absent.pth", "-o", "new"}, 66},
      {{"upscaler", "cut.pth", "-o", "taken"}, 73},
      {{"upscaler", "cut.pth", "-o", "new", "--python", "/no/such/python"}, 78},
  };
  for (const auto& [arguments, exit_code] : rows) {
    const CommandOutput output = import(arguments);
    EXPECT_EQ(output.status.exit_code, exit_code) << output.err;
    EXPECT_THAT(output.err, StartsWith("kiln: "));
    EXPECT_THAT(output.err, EndsWith("\n"));
    EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << output.err;
    EXPECT_FALSE(fs::exists(folder_ + "/new"));
  }
}

TEST_F(ImportCommandTest, PackageOfATextToVideoModelIsRefusedWhereClipsAreRendered) {
  fs::create_directory(folder_ + "/package");
  std::ofstream(folder_ + "/package/manifest.toml") << "format_version = 1\nkind = \"generator\"\nfamily = \"wan\"\n";
  std::ofstream(folder_ + "/clip.mp4") << "no clip";
  SpawnOptions options;
  options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln", "run", "upscale", "--model", "package",
                  "clip.mp4", "-o", "out.mp4"};
  options.working_directory = folder_;
  const auto output = run_command(std::move(options), kDeadline);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->status.exit_code, 65);
  EXPECT_EQ(output->err, "kiln: package/manifest.toml: a text-to-video model, which takes no clips: name the package of an "
                         "upscaler or a module\n");
  EXPECT_FALSE(fs::exists(folder_ + "/out.mp4"));
}

// A file of that name in the working folder would otherwise be run in the real one's place.
TEST_F(ImportCommandTest, ModulesInTheWorkingFolderAreNotRunWhenACheckpointIsImported) {
  std::ofstream(folder_ + "/torch.py") << "open('ran', 'w')\n";
  std::ofstream(folder_ + "/cut.pth") << "not a checkpoint";
  const CommandOutput output = import({"upscaler", "cut.pth", "-o", "new"});
  EXPECT_EQ(output.status.exit_code, 65) << output.err;
  EXPECT_FALSE(fs::exists(folder_ + "/ran"));
}

}  // namespace
}  // namespace kiln::cli
