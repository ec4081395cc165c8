// Model packages with known outputs, made by tests/models/make_fixtures.py and shared by all tests.
#pragma once

#include <string>
#include <vector>

#include "base/sealed_file.h"
#include "lane/engine/network.h"

namespace kiln::lane {

struct FixtureCase {
  std::int64_t height = 0;  // as the pictures are; the network's input is padded
  std::int64_t width = 0;
  float range = 0;
  std::vector<float> input;  // frames x height x width x 3
  std::vector<float> expected;
};

struct Fixture {
  std::string folder;
  sharding::PackageManifest manifest;
  Mapping weights;
  std::vector<Mapping> graph_files;  // beside manifest.graphs
  std::vector<FixtureCase> cases;

  // Every graph of one dtype.
  [[nodiscard]] NetworkSource source(int threads = 1, sharding::GraphDtype dtype = {}) const;
};

// Fails the test, and returns an empty fixture, where it cannot be made.
[[nodiscard]] Fixture load_fixture(const std::string& name, const std::string& dtype = "float32");

// Runs one case: pads as the manifest says, crops the result.
[[nodiscard]] Result<std::vector<float>> run_case(Network& network, const Fixture& fixture,
                                                  const FixtureCase& one, Executor executor);
[[nodiscard]] TileShape padded_shape(const Fixture& fixture, const FixtureCase& one);
[[nodiscard]] float largest_difference(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace kiln::lane
