// The program's flags, as a user types them: what is wrong ends before anything is started, and --json is JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/process.h"

namespace kiln::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

CommandOutput kiln(const std::vector<std::string>& words) {
  SpawnOptions options;
  options.argv = {std::string(std::getenv("KILN_BINARY_DIR")) + "/bin/kiln"};
  options.argv.insert(options.argv.end(), words.begin(), words.end());
  auto output = run_command(std::move(options), std::chrono::seconds(30));
  EXPECT_TRUE(output) << output.error().message;
  return output ? std::move(*output) : CommandOutput{};
}

struct WrongFlag {
  std::vector<std::string> words;
  int code;
  std::string says;
};

TEST(FlagsTest, WhatIsWrongIsOneLineBeforeAnythingIsStarted) {
  const std::string state = ::testing::TempDir() + "/kiln-flags-state";
  const std::vector<std::string> job = {"jobs", "--coordinator", "tcp://127.0.0.1:1"};
  for (const WrongFlag& wrong : std::vector<WrongFlag>{
           {{"coordinator", "--state", state, "--store-budget", "lots"}, 2, "--store-budget: 'lots' is no number of bytes"},
           {{"coordinator", "--state", state, "--store-budget", "0"}, 2, "--store-budget: '0' is no number of bytes"},
           {{"coordinator", "--state", state, "--store-budget", "-1GiB"}, 2, "'-1GiB' is no number of bytes"},
           {{"coordinator", "--state", state, "--store-listen", "foo"}, 2, "--store-listen: 'foo' is no HOST:PORT"},
           {{"coordinator", "--state", state, "--http", "foo"}, 2, "--http: 'foo' is no HOST:PORT"},
           {{"coordinator", "--state", state, "--listen", "foo"}, 2, "--listen: endpoint 'foo'"},
           {{"coordinator", "--state", state, "--store", "foo"}, 2, "--store: 'foo' is no http://HOST:PORT"},
           {{"coordinator", "--state", state, "--store", "http://foo"}, 2, "--store: 'foo' is no HOST:PORT"},
           {{"cache", "serve", "--root", state, "--budget", "lots"}, 2, "--budget: 'lots' is no number of bytes"},
           {{"mpi", "--job", "x", "--store-budget", "lots"}, 2, "--store-budget: 'lots' is no number of bytes"},
           {{"worker", "--coordinator", "tcp://127.0.0.1:1", "--state", state, "--memory-cap", "-1"}, 2,
            "--memory-cap: '-1' is no number of bytes"},
           {{"worker", "--coordinator", "tcp://127.0.0.1:1", "--state", state, "--cache-size", "x"}, 2,
            "--cache-size: 'x' is no number of bytes"},
           {{"worker", "--coordinator", "tcp://127.0.0.1:1", "--state", state, "--key", "/none", "--coordinator-key", "x"}, 66,
            "key file: /none"},
           {{"jobs", "--coordinator", "tcp://127.0.0.1:1", "--key", "/none"}, 66, "key file: /none"}}) {
    const CommandOutput output = kiln(wrong.words);
    EXPECT_EQ(output.status.exit_code, wrong.code) << output.err;
    EXPECT_THAT(output.err, HasSubstr(wrong.says));
    EXPECT_EQ(output.err.find('\n'), output.err.size() - 1) << output.err;
    if (wrong.code == 2) {
      EXPECT_FALSE(fs::exists(state)) << wrong.says;
    }
    fs::remove_all(state);
  }
}

TEST(FlagsTest, JsonIsOneValueAlsoWithoutACommand) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--json"}, {"--version", "--json"}, {"--json", "--version"}}) {
    const CommandOutput output = kiln(words);
    EXPECT_EQ(output.status.exit_code, 0);
    const json about = json::parse(output.out);
    EXPECT_FALSE(about["version"].get<std::string>().empty());
    EXPECT_THAT(about["about"].get<std::string>(), HasSubstr("package format"));
    EXPECT_TRUE(about["commands"].contains("submit") && about["commands"].contains("worker"));
  }
  EXPECT_THAT(kiln({"--version"}).out, HasSubstr("package format"));
  EXPECT_THAT(kiln({}).out, HasSubstr("Usage:"));
}

TEST(FlagsTest, ACommandThatFailsPrintsItsErrorAsOneValue) {
  const json error = json::parse(kiln({"--json", "jobs", "--coordinator", "foo"}).out)["error"];
  EXPECT_EQ(error["exit_code"], 2);
  EXPECT_EQ(error["code"], "invalid_argument");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("foo"));
}

}  // namespace
}  // namespace kiln::cli
