// The tiny Compact package of tests/models, a store and a key, for tests of the artifact builder.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/process.h"
#include "base/sealed_file.h"
#include "cache_store/disk_store.h"
#include "sharding/package/package_inputs.h"
#include "sharding/package/pt2_archive.h"
#include "tests/base/shared_fixtures.h"
#include "tests/base/temp_folder.h"
#include "tests/worker/compile_child_fixture.h"
#include "worker/artifact_builder.h"
#include "worker/host_probe.h"

namespace kiln::worker {

class ArtifactBuilderFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    // Traced once; whoever else asks for it waits, and what is there is left alone.
    const std::string models = kiln::test::fixtures_folder();
    SpawnOptions make;
    make.argv = {environment("KILN_PYTHON"), environment("KILN_SOURCE_DIR") + "/tests/models/make_fixtures.py",
                 "--out", models, "--only", "compact", "--dtype", "float32"};
    if (!std::filesystem::exists(models + "/compact")) {
      const auto made = run_command(make, std::chrono::minutes(3));
      ASSERT_TRUE(made && made->status.ok()) << (made ? made->err : made.error().message);
    }
    package_ = models + "/compact/package";
    const auto text = read_file(package_ + "/manifest.toml", sharding::kManifestBytesMax);
    ASSERT_TRUE(text);
    auto manifest = sharding::parse_package_manifest(*text, package_);
    ASSERT_TRUE(manifest) << manifest.error().message;
    manifest_ = std::move(*manifest);
    open_store(posix_file_system());
  }

  void open_store(FileSystem& files) {
    store_.reset();
    cache::DiskStoreOptions options;
    options.root = folder_ / "store";
    options.trusted.trust(key_.public_key());
    auto store = cache::open_disk_store(files, options);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  // `isa`: declared level, whatever this host has beyond it.
  [[nodiscard]] ArtifactBuilderOptions real_options(sharding::IsaLevel isa) const {
    ArtifactBuilderOptions options;
    options.child.python = environment("KILN_PYTHON");
    options.child.package_folder = environment("KILN_SOURCE_DIR") + "/python";
    options.child.torch_folder = torch_folder();
    // Kept between runs for its precompiled headers, which cost half a minute.
    options.child.work_folder = environment("KILN_BINARY_DIR") + "/tests/compile_child";
    options.child.warm_isa = isa;
    options.target.isa = isa;
    auto toolchain = probe_toolchain({options.child.torch_folder, options.child.package_folder, "g++"});
    EXPECT_TRUE(toolchain) << toolchain.error().message;
    if (toolchain) options.toolchain = *toolchain;
    options.child.torch_git = options.toolchain.torch_git;
    return options;
  }

  [[nodiscard]] ArtifactBuilderOptions fake_options() const {
    ArtifactBuilderOptions options = real_options(sharding::IsaLevel::kAvx2);
    options.child.work_folder = folder_ / "work";
    options.child.package_folder = environment("KILN_SOURCE_DIR") + "/tests/worker";
    options.child.torch_git = "test-git";
    options.child.recipe_sha256 = "0";
    options.child.command = {options.child.python, "-I", "-S", "-B",
                             options.child.package_folder + "/fake_compile_child.py"};
    return options;
  }

  // A request for one size of frame; the descriptor lives as long as the fixture.
  ArtifactRequest request_for(std::int64_t height, std::int64_t width) {
    const auto* graph = manifest_.find_graph(sharding::GraphDtype::kFloat32, height, width);
    EXPECT_NE(graph, nullptr);
    const auto bytes = read_file(package_ + "/" + graph->file, sharding::kPt2BytesMax);
    return request_for_pt2(*bytes, height, width);
  }
  ArtifactRequest request_for_pt2(const std::string& pt2, std::int64_t height, std::int64_t width) {
    graphs_.push_back(make_sealed("graph", std::as_bytes(std::span(pt2))).value());
    ArtifactRequest request;
    request.pt2_fd = graphs_.back().get();
    request.origin = "test graph";
    request.inputs = sharding::package_inputs(manifest_, sharding::GraphDtype::kFloat32, height, width);
    return request;
  }

  static std::optional<ArtifactOutcome> next_outcome(ArtifactBuilder& builder) {
    pollfd ready{builder.ready_fd(), POLLIN, 0};
    constexpr int kDeadlineMs = 170'000;
    if (::poll(&ready, 1, kDeadlineMs) != 1) return std::nullopt;
    auto outcomes = builder.take();
    if (outcomes.size() != 1) return std::nullopt;
    return std::move(outcomes[0]);
  }

  test::TempFolder folder_;
  std::string package_;
  sharding::PackageManifest manifest_;
  cache::SigningKey key_ = cache::SigningKey::generate().value();
  std::unique_ptr<cache::Store> store_;
  std::vector<UniqueFd> graphs_;

 private:
  static std::string torch_folder() {
    SpawnOptions options;
    options.argv = {environment("KILN_PYTHON"), "-I", "-c",
                    "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin), end='')"};
    const auto output = run_command(options, std::chrono::seconds(60));
    return output ? output->out : std::string();
  }
};

}  // namespace kiln::worker
