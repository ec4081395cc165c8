#include "cli/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "cli/farm_rules.h"

namespace kiln::cli {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A folder of its own for each test, and an environment that holds only what the test says.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string pattern = ::testing::TempDir() + "/kiln-config-XXXXXX";
    folder_ = fs::path(::mkdtemp(pattern.data())).lexically_normal().string();
    environment_["HOME"] = folder_;
  }
  ~ConfigTest() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = fs::path(folder_) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  Result<LoadedConfig> load(const std::string& file = "", std::vector<FlagValue> flags = {}) {
    ConfigSources sources;
    sources.file = file;
    sources.flags = std::move(flags);
    sources.environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto at = environment_.find(name);
      return at == environment_.end() ? std::nullopt : std::optional<std::string>(at->second);
    };
    return load_config(sources);
  }

  // The message of the error that `text` as a file ends with; exit code 78 is checked here.
  std::string error_of(const std::string& text) {
    auto loaded = load(write("k.toml", text));
    if (loaded) return "no error";
    EXPECT_EQ(exit_code(loaded.error()), 78);
    EXPECT_EQ(loaded.error().message.find('\n'), std::string::npos) << loaded.error().message;
    return loaded.error().message;
  }

  std::string folder_;
  std::map<std::string, std::string> environment_;
};

TEST_F(ConfigTest, BuiltInValuesHoldWithoutAnySource) {
  auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.lanes, Config{}.lanes);
  EXPECT_EQ(loaded->config.state_dir, folder_ + "/.local/state/kiln");
  EXPECT_TRUE(loaded->origin.empty());
}

TEST_F(ConfigTest, EachSourceOverridesTheOneBelowIt) {
  const std::string user = write(".config/kiln/kiln.toml", "[run]\nlanes = 2\nsegment_frames = 7\n");
  auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.lanes, 2);
  EXPECT_EQ(loaded->origin.at("run.lanes"), user + ":2");

  const std::string named = write("named.toml", "[run]\nlanes = 3\nexecutor = \"compiled\"\n");
  loaded = load(named);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.lanes, 3);
  EXPECT_EQ(loaded->config.segment_frames, Config{}.segment_frames) << "a named file replaces the user's";

  environment_["KILN_LANES"] = "4";
  loaded = load(named);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.lanes, 4);
  EXPECT_EQ(loaded->origin.at("run.lanes"), "KILN_LANES");

  loaded = load(named, {{"run.lanes", "--lanes", "5"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.lanes, 5);
  EXPECT_EQ(loaded->origin.at("run.lanes"), "--lanes");
  EXPECT_EQ(loaded->config.executor, "compiled") << "what no flag names stays";
}

TEST_F(ConfigTest, XdgFoldersAreUsedAndRelativeOnesIgnored) {
  write("xdg/kiln/kiln.toml", "[run]\nlanes = 6\n");
  environment_["XDG_CONFIG_HOME"] = folder_ + "/xdg";
  environment_["XDG_STATE_HOME"] = "relative";
  auto loaded = load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.lanes, 6);
  EXPECT_EQ(loaded->config.state_dir, folder_ + "/.local/state/kiln");
}

TEST_F(ConfigTest, AServiceKeepsItsStateWhereSystemdSays) {
  environment_["XDG_STATE_HOME"] = folder_ + "/xdg";
  const auto state = [this](const std::string& named) {
    environment_["STATE_DIRECTORY"] = named;
    return load().value().config.state_dir;
  };
  EXPECT_EQ(state("/var/lib/kiln"), "/var/lib/kiln");
  EXPECT_EQ(state("/var/lib/kiln:/var/lib/other"), "/var/lib/kiln");
  EXPECT_EQ(state("relative"), folder_ + "/xdg/kiln");
  EXPECT_EQ(state(""), folder_ + "/xdg/kiln");
  environment_["KILN_STATE"] = "/named";
  EXPECT_EQ(state("/var/lib/kiln"), "/named");
}

TEST_F(ConfigTest, RelativeStateFolderIsMadeAbsolute) {
  auto loaded = load("", {{"run.state", "--state", "a/../b"}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.state_dir, (fs::current_path() / "b").string());
}

TEST_F(ConfigTest, UnknownKeyNamesTheLineAndTheNearestName) {
  const std::string message = error_of("[run]\nlanes = 1\nsegment_frame = 3\n");
  EXPECT_THAT(message, HasSubstr("k.toml:3:"));
  EXPECT_THAT(message, HasSubstr("unknown setting 'run.segment_frame'"));
  EXPECT_THAT(message, HasSubstr("Did you mean 'run.segment_frames'?"));
}

TEST_F(ConfigTest, KeyInTheWrongTableNamesTheRightOne) {
  EXPECT_THAT(error_of("lanes = 1\n"), HasSubstr("Did you mean 'run.lanes'?"));
  EXPECT_THAT(error_of("[run]\ncodec = \"av1\"\n"), HasSubstr("Did you mean 'video.codec'?"));
  EXPECT_THAT(error_of("[rum]\nlanes = 1\n"), HasSubstr("Did you mean 'run.lanes'?"));
}

TEST_F(ConfigTest, UnknownEmptyTableIsAnErrorAndAKnownOneIsNot) {
  EXPECT_THAT(error_of("\n[runs]\n"), HasSubstr("k.toml:2: unknown setting 'runs'"));
  EXPECT_EQ(error_of("[run]\n[video]\n"), "no error");
}

TEST_F(ConfigTest, WrongTypeNamesTheLineAndWhatIsTaken) {
  EXPECT_THAT(error_of("[run]\n\nlanes = \"two\"\n"),
              HasSubstr("k.toml:3: 'run.lanes' is \"two\"; it takes a whole number from 1 to 256"));
  EXPECT_THAT(error_of("[run]\nlanes = 1.5\n"), HasSubstr("is a fraction; it takes a whole number"));
  EXPECT_THAT(error_of("[run]\nexecutor = 1\n"), HasSubstr("is 1; it takes one of \"any\""));
  EXPECT_THAT(error_of("[run]\nexecutor = [\"any\"]\n"), HasSubstr("is a list; it takes one of"));
  EXPECT_THAT(error_of("run = 3\n"), HasSubstr("k.toml:1: unknown setting 'run'"));
  EXPECT_THAT(error_of("[run.lanes]\nx = 1\n"), HasSubstr("unknown setting 'run.lanes.x'"));
}

TEST_F(ConfigTest, ValueOutOfRangeIsRefusedAtBothEnds) {
  for (const Setting& setting : settings()) {
    if (!std::holds_alternative<Setting::Place<int>>(setting.member)) continue;
    for (const auto& [value, good] : {std::pair{std::int64_t{setting.least}, true},
                                      {std::int64_t{setting.most}, true},
                                      {std::int64_t{setting.least} - 1, false},
                                      {std::int64_t{setting.most} + 1, false},
                                      {std::numeric_limits<std::int64_t>::max(), false}}) {
      const std::string message = error_of(fmt::format("{} = {}\n", setting.name, value));
      EXPECT_EQ(message.find("it takes") == std::string::npos, good) << message;  // it may still contradict another
    }
  }
}

TEST_F(ConfigTest, BrokenTomlNamesTheLine) {
  EXPECT_THAT(error_of("[run]\nlanes = = 2\n"), HasSubstr("k.toml:2: not TOML: "));
  EXPECT_THAT(error_of("[run]\nlanes = 1\nlanes = 2\n"), HasSubstr("k.toml:3: not TOML: "));
  EXPECT_THAT(error_of("[run]\nlanes = 1\n[[%x]]\n"), HasSubstr("k.toml:3: not TOML: "));
}

TEST_F(ConfigTest, ControlCharactersInAKeyStayOneLine) {
  EXPECT_THAT(error_of("\"a\\nb\" = 1\n"), HasSubstr("unknown setting 'a?b'"));
}

TEST_F(ConfigTest, NamedFileThatIsMissingIsAnError) {
  auto loaded = load(folder_ + "/none.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(exit_code(loaded.error()), 78);
  EXPECT_THAT(loaded.error().message, HasSubstr("none.toml"));
}

TEST_F(ConfigTest, FolderOrHugeFileIsAnErrorAndNotRead) {
  EXPECT_FALSE(load(folder_));
  EXPECT_THAT(error_of(std::string(2U << 20U, '#')), HasSubstr("longer than"));
}

TEST_F(ConfigTest, BadVariableNamesItAndEndsWith78) {
  environment_["KILN_LANES"] = "2x";
  auto loaded = load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(exit_code(loaded.error()), 78);
  EXPECT_THAT(loaded.error().message, HasSubstr("KILN_LANES: 'run.lanes' is \"2x\"; it takes a whole number"));
}

TEST_F(ConfigTest, BadFlagIsWrongUsage) {
  auto loaded = load("", {{"run.executor", "--executor", "both"}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(exit_code(loaded.error()), 2);
  EXPECT_THAT(loaded.error().message, HasSubstr("--executor: 'run.executor' is \"both\"; it takes one of \"any\""));
}

TEST_F(ConfigTest, DumpReadsBackToTheSameValues) {
  environment_["KILN_STATE"] = "/a \"b\"\\c\t";
  environment_["KILN_SEGMENT_FRAMES"] = "9";
  auto first = load();
  ASSERT_TRUE(first) << first.error().message;
  environment_.erase("KILN_STATE");
  environment_.erase("KILN_SEGMENT_FRAMES");
  auto second = load(write("dump.toml", dump_config(*first)));
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->config.state_dir, "/a \"b\"\\c\t");
  EXPECT_EQ(second->config.segment_frames, 9);
  EXPECT_THAT(dump_config(*first), HasSubstr("segment_frames = 9  # from KILN_SEGMENT_FRAMES"));
}

TEST_F(ConfigTest, ShippedFileIsTheTableOfSettings) {
  const std::string path = std::string(std::getenv("KILN_SOURCE_DIR")) + "/configs/kiln.toml";
  std::stringstream shipped;
  shipped << std::ifstream(path).rdbuf();
  EXPECT_EQ(shipped.str(), annotated_defaults()) << "kiln config dump --defaults > configs/kiln.toml";
  auto loaded = load(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (const Setting& setting : settings()) {
    if (setting.name == "run.state") continue;  // resolved when loaded
    EXPECT_EQ(value_of(loaded->config, setting), value_of(Config{}, setting)) << setting.name;
  }
}

TEST_F(ConfigTest, WhatIsOnOrOffTakesTrueAndFalseAlone) {
  auto loaded = load(write("k.toml", "[farm.failures.crash]\nblames_lane = false\nattempts = 7\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_FALSE(loaded->config.farm.crash.blames_lane);
  EXPECT_EQ(loaded->config.farm.crash.attempts, 7);
  EXPECT_TRUE(loaded->config.farm.hang.blames_lane);
  EXPECT_THAT(dump_config(*loaded), HasSubstr("[farm.failures.crash]\nattempts = 7  # from "));
  EXPECT_THAT(dump_config(*loaded), HasSubstr("blames_lane = false  # from "));
  EXPECT_THAT(error_of("[farm.failures.crash]\nblames_lane = 1\n"),
              HasSubstr("k.toml:2: 'farm.failures.crash.blames_lane' is 1; it takes true or false"));
  EXPECT_THAT(error_of("[farm.failures.crash]\nblames_lane = \"no\"\n"), HasSubstr("is \"no\"; it takes true or false"));
  EXPECT_THAT(error_of("[run]\nlanes = true\n"), HasSubstr("'run.lanes' is true; it takes a whole number"));
  environment_["KILN_FARM_CRASH_BLAMES_LANE"] = "true";
  loaded = load(write("k.toml", "[farm.failures.crash]\nblames_lane = false\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE(loaded->config.farm.crash.blames_lane);
  environment_["KILN_FARM_CRASH_BLAMES_LANE"] = "yes";
  EXPECT_FALSE(load());
}

TEST_F(ConfigTest, AMisspeltClassOfFailureNamesTheNearest) {
  EXPECT_THAT(error_of("[farm.failures.lost_lanes]\nattempts = 2\n"),
              HasSubstr("k.toml:2: unknown setting 'farm.failures.lost_lanes.attempts'. Did you mean "
                        "'farm.failures.lost_lane.attempts'?"));
  EXPECT_THAT(error_of("[farm]\nheart_beat_ms = 500\n"), HasSubstr("Did you mean 'farm.heartbeat_ms'?"));
}

TEST_F(ConfigTest, SettingsThatContradictEachOtherAreRefusedWithTheLine) {
  EXPECT_THAT(error_of("[farm]\nworker_silence_ms = 3000\n"),
              HasSubstr("k.toml:2: 'farm.worker_silence_ms' is 3000 and 'farm.heartbeat_ms' is 2000; the first must be at "
                        "least twice the second"));
  EXPECT_THAT(error_of("[farm]\nheartbeat_ms = 7000\n"), HasSubstr("k.toml:2: 'farm.worker_silence_ms' is 12000"));
  EXPECT_EQ(error_of("[farm]\nheartbeat_ms = 500\nworker_silence_ms = 1000\n"), "no error");
  EXPECT_THAT(error_of("[farm]\nsegment_frames_min = 20\n"), HasSubstr("'farm.segment_frames_first' is 16"));
  EXPECT_THAT(error_of("[farm]\nsegment_frames_max = 10\n"), HasSubstr("must be at most the second"));
}

TEST_F(ConfigTest, TheBuiltInRulesAreThoseOfCoordinatorAndWorker) {
  EXPECT_EQ(farm_rules(FarmSettings{}), coordinator::FarmRules{});
  EXPECT_EQ(worker_rules(Config{}), worker::WorkerRules{});
}

// Each setting of [farm] and [worker] reaches a rule: changing it changes the rules.
TEST_F(ConfigTest, EverySettingOfTheFarmReachesARule) {
  for (const Setting& setting : settings()) {
    if (!setting.name.starts_with("farm.") && !setting.name.starts_with("worker.")) continue;
    if (setting.name == "farm.snapshot_facts") continue;  // of the journal, and no rule
    Config config;
    if (const auto* number = std::get_if<Setting::Place<int>>(&setting.member)) (*number)(config) += 1;
    if (const auto* on = std::get_if<Setting::Place<bool>>(&setting.member)) (*on)(config) = !(*on)(config);
    const bool changed = farm_rules(config.farm) != coordinator::FarmRules{} || worker_rules(config) != worker::WorkerRules{};
    EXPECT_TRUE(changed) << setting.name;
  }
}

TEST_F(ConfigTest, NamesAndVariablesAreUnique) {
  std::set<std::string_view> names;
  for (const Setting& setting : settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_TRUE(names.insert(setting.variable).second) << setting.variable;
    EXPECT_TRUE(setting.variable.starts_with("KILN_")) << setting.variable;
    EXPECT_FALSE(setting.description.empty()) << setting.name;
  }
}

}  // namespace
}  // namespace kiln::cli
