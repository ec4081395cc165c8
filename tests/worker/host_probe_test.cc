#include "worker/host_probe.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/process.h"
#include "base/units.h"
#include "tests/base/temp_folder.h"

namespace kiln::worker {
namespace {

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string() : value;
}

ToolchainFiles real_files() {
  SpawnOptions options;
  options.argv = {variable("KILN_PYTHON"), "-I", "-c",
                  "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin), end='')"};
  return {run_command(options, std::chrono::seconds(30))->out, variable("KILN_SOURCE_DIR") + "/python", "g++"};
}

TEST(HostProbeTest, FindsToolchainQuicklyAndTwiceTheSame) {
  const ToolchainFiles files = real_files();
  const auto first = probe_toolchain(files);
  ASSERT_TRUE(first) << first.error().message;
  const auto started = std::chrono::steady_clock::now();
  const auto second = probe_toolchain(files);
  const auto took = std::chrono::steady_clock::now() - started;
  EXPECT_EQ(*first, *second);
  EXPECT_LT(took, std::chrono::milliseconds(1000));  // 5 ms on an idle machine
  EXPECT_EQ(first->torch_version.rfind("2.11.0", 0), 0U);
  EXPECT_EQ(first->torch_git.size(), 40U);
  EXPECT_NE(first->compiler.find("g++"), std::string::npos);
  EXPECT_EQ(first->libc.rfind("glibc 2.", 0), 0U);
  EXPECT_EQ(first->recipe_sha256.size(), 64U);
  EXPECT_TRUE(first->cuda.empty());
  EXPECT_TRUE(first->triton.empty());
}

TEST(HostProbeTest, ForCardsItNamesCudaAndTriton) {
  ToolchainFiles files = real_files();
  files.for_cards = true;
  const auto toolchain = probe_toolchain(files);
  ASSERT_TRUE(toolchain) << toolchain.error().message;
  EXPECT_EQ(toolchain->cuda, "13.0");
  EXPECT_EQ(toolchain->triton.rfind("3.", 0), 0U) << toolchain->triton;
}

// Every source that shapes code is in the key, and the child names the same hash as its own.
TEST(HostProbeTest, RecipeIsTheHashOfAllSourcesThatShapeCode) {
  namespace fs = std::filesystem;
  const test::TempFolder folder;
  ToolchainFiles files = real_files();
  fs::copy(files.package_folder + "/kiln_compile", folder / "kiln_compile", fs::copy_options::recursive);
  files.package_folder = folder.path();
  const auto recipe = [&] { return probe_toolchain(files)->recipe_sha256; };
  SpawnOptions child;
  child.argv = {variable("KILN_PYTHON"), "-I", "-S", "-B", "-c",
                "import sys; sys.path.insert(0, sys.argv[1]); from kiln_compile import identity;"
                "print(identity.recipe_sha256(sys.argv[1] + '/kiln_compile'), end='')", folder.path()};
  std::set<std::string> seen{recipe()};
  for (const char* name : {"recipe.py", "program.py", "compiler.py", "include/nv/target"}) {
    std::ofstream(folder / ("kiln_compile/" + std::string(name)), std::ios::app) << "# changed\n";
    EXPECT_TRUE(seen.insert(recipe()).second) << name;
    EXPECT_EQ(run_command(child, std::chrono::seconds(30))->out, recipe());
  }
  std::ofstream(folder / "kiln_compile/trial.py", std::ios::app) << "# changed\n";
  EXPECT_FALSE(seen.insert(recipe()).second) << "measuring shapes no code";
}

TEST(HostProbeTest, CompilingTakesNoMoreThanWasAskedAndHalfOfTheMemory) {
  HostResources resources;
  resources.memory_bytes = 8_GiB;
  EXPECT_EQ(compile_memory_limit_bytes(resources, 3_GiB), 3_GiB);
  EXPECT_EQ(compile_memory_limit_bytes(resources, 6_GiB), 4_GiB);
  resources.memory_bytes = 0;  // not known
  EXPECT_EQ(compile_memory_limit_bytes(resources, 6_GiB), 6_GiB);
}

TEST(HostProbeTest, MissingCompilerAndMissingTorchSayWhatToDo) {
  ToolchainFiles files = real_files();
  files.compiler = "no-such-g++";
  auto probed = probe_toolchain(files);
  ASSERT_FALSE(probed);
  EXPECT_EQ(probed.error().code, ErrorCode::kNotFound);
  EXPECT_NE(probed.error().message.find("install g++"), std::string::npos);
  files = real_files();
  files.torch_folder = "/nowhere";
  probed = probe_toolchain(files);
  ASSERT_FALSE(probed);
  EXPECT_NE(probed.error().message.find("--python"), std::string::npos);
}

TEST(HostProbeTest, CoresAreNamedAlikeByThoseWhoShareThem) {
  const std::string name = cores_name("machine", {0, 1}, "");
  EXPECT_EQ(name, cores_name("machine", {0, 1}, ""));
  EXPECT_NE(name, cores_name("another", {0, 1}, ""));
  EXPECT_NE(name, cores_name("machine", {0}, ""));
  EXPECT_NE(name, cores_name("machine", {1}, ""));
  EXPECT_NE(name, cores_name("machine", {0, 1}, "cgroup:[4026532614]"));
  EXPECT_NE(cores_name("machine", {1, 2}, ""), cores_name("machine", {12}, ""));
  EXPECT_EQ(probe_cores_name({0}), probe_cores_name({0}));
  EXPECT_NE(probe_cores_name({0}), probe_cores_name({1}));
}

TEST(HostProbeTest, ResourcesArePlausible) {
  const HostResources resources = probe_resources();
  EXPECT_GE(resources.cores, 1U);
  EXPECT_GT(resources.memory_bytes, 100_MiB);
  EXPECT_LE(resources.memory_available_bytes, resources.memory_bytes);
}

}  // namespace
}  // namespace kiln::worker
