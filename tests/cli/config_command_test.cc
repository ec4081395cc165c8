// The program itself, as a user starts it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/process.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

constexpr std::chrono::seconds kDeadline{30};

class ConfigCommandTest : public ::testing::Test {
 protected:
  ConfigCommandTest() {
    std::string pattern = ::testing::TempDir() + "/kiln-config-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ConfigCommandTest() override { fs::remove_all(folder_); }

  CommandOutput kiln(std::vector<std::string> arguments) {
    SpawnOptions options;
    options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    options.clear_env = true;
    options.set_env = {{"HOME", folder_}};
    auto output = run_command(std::move(options), kDeadline);
    EXPECT_TRUE(output) << output.error().message;
    return output ? std::move(*output) : CommandOutput{};
  }

  std::string write(const std::string& text) {
    const std::string path = folder_ + "/k.toml";
    std::ofstream(path) << text;
    return path;
  }

  std::string folder_;
};

TEST_F(ConfigCommandTest, CheckAcceptsAGoodFileAndSaysWhich) {
  const std::string file = write("[run]\nlanes = 2\n");
  const CommandOutput output = kiln({"config", "check", "--config", file});
  EXPECT_EQ(output.status.exit_code, 0);
  EXPECT_EQ(output.out, file + ": good\n");
}

TEST_F(ConfigCommandTest, CheckEndsWith78AndOneLineThatNamesLineAndNearestKey) {
  const std::string file = write("[run]\nlanse = 2\n");
  const CommandOutput output = kiln({"config", "check", "--config", file});
  EXPECT_EQ(output.status.exit_code, 78);
  EXPECT_THAT(output.out, IsEmpty());
  EXPECT_EQ(output.err, "kiln: " + file + ":2: unknown setting 'run.lanse'. Did you mean 'run.lanes'?\n");
}

TEST_F(ConfigCommandTest, JsonErrorIsOneValueOnStdout) {
  const CommandOutput output = kiln({"--json", "config", "check", "--config", write("[run]\nlanes = \"a\"\n")});
  EXPECT_EQ(output.status.exit_code, 78);
  EXPECT_THAT(output.out, HasSubstr(R"("exit_code":78)"));
  EXPECT_THAT(output.out, HasSubstr("'run.lanes' is "));
  EXPECT_EQ(output.out.find('\n'), output.out.size() - 1);
}

TEST_F(ConfigCommandTest, DumpSaysWhereEachValueComesFrom) {
  const std::string file = write("[run]\nlanes = 2\n");
  const CommandOutput text = kiln({"config", "dump", "--config", file});
  EXPECT_THAT(text.out, HasSubstr("lanes = 2  # from " + file + ":2\n"));
  EXPECT_THAT(text.out, HasSubstr("# built-in\n"));
  const CommandOutput json = kiln({"config", "dump", "--json", "--config", file});
  EXPECT_THAT(json.out, HasSubstr(R"("run.lanes":{"origin":")" + file + R"(:2","value":2})"));
}

}  // namespace
}  // namespace kiln::cli
