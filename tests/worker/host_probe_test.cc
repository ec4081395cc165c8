#include "worker/host_probe.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>

#include "base/units.h"
#include "base/process.h"

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

TEST(HostProbeTest, ResourcesArePlausible) {
  const HostResources resources = probe_resources();
  EXPECT_GE(resources.cores, 1U);
  EXPECT_GT(resources.memory_bytes, 100_MiB);
  EXPECT_LE(resources.memory_available_bytes, resources.memory_bytes);
}

}  // namespace
}  // namespace kiln::worker
