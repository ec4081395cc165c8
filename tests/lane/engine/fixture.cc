#include "tests/lane/engine/fixture.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "tests/base/shared_fixtures.h"

namespace kiln::lane {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kFileMax = std::uint64_t{256} << 20U;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::string text_of(const std::string& path) { return read_file(path, kFileMax).value_or(""); }

Mapping map_file(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  auto mapping = Mapping::map(fd.get());
  EXPECT_TRUE(mapping) << path;
  return mapping ? std::move(*mapping) : Mapping();
}

std::vector<float> floats_of(const std::string& path) {
  const std::string bytes = text_of(path);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

FixtureCase read_case(const std::string& folder) {
  const auto json = nlohmann::json::parse(text_of(folder + "/case.json"));
  return {json["height"], json["width"], json["range"], floats_of(folder + "/input.bin"),
          floats_of(folder + "/expected.bin")};
}

// Reflection to the right and below, as spandrel pads.
std::int64_t reflected(std::int64_t position, std::int64_t size) {
  return position < size ? position : std::max<std::int64_t>(2 * (size - 1) - position, 0);
}

}  // namespace

Fixture load_fixture(const std::string& name, const std::string& dtype) {
  // Both half widths in one package: how it may be tiled is probed once.
  const bool full = dtype == "float32";
  const std::string folder = test::fixtures_folder() + (full ? "" : "/half");
  const std::string dtypes = full ? "--dtype float32" : "--dtype float16 --dtype bfloat16";
  Fixture fixture{folder + "/" + name, {}, {}, {}, {}};
  if (!fs::exists(fixture.folder)) {
    const std::string script = environment("KILN_SOURCE_DIR") + "/tests/models/make_fixtures.py";
    const int code = std::system(fmt::format("'{}' '{}' --out '{}' --only {} {} >&2",
                                             environment("KILN_PYTHON"), script, folder, name, dtypes).c_str());
    EXPECT_EQ(code, 0) << "make_fixtures.py failed for " << name;
  }
  const std::string package = fixture.folder + "/package/";
  auto manifest = sharding::parse_package_manifest(text_of(package + "manifest.toml"), name);
  EXPECT_TRUE(manifest) << (manifest ? "" : manifest.error().message);
  if (!manifest) return fixture;
  fixture.manifest = *manifest;
  fixture.weights = map_file(package + manifest->weights.file);
  for (const auto& graph : manifest->graphs) fixture.graph_files.push_back(map_file(package + graph.file));
  for (const char* one : {"/case-0", "/case-1"}) fixture.cases.push_back(read_case(fixture.folder + one));
  return fixture;
}

NetworkSource Fixture::source(int threads, sharding::GraphDtype dtype) const {
  NetworkSource source;
  source.manifest = &manifest;
  source.weights = weights.bytes();
  source.threads = threads;
  source.dtype = dtype;
  for (std::size_t i = 0; i < manifest.graphs.size(); ++i) {
    if (manifest.graphs[i].dtype == dtype) {
      source.graphs.push_back({manifest.graphs[i], graph_files[i].bytes()});
    }
  }
  return source;
}

TileShape padded_shape(const Fixture& fixture, const FixtureCase& one) {
  const std::int64_t multiple = fixture.manifest.size_multiple;
  const auto pad = [&](std::int64_t side) {
    side = std::max(side, fixture.manifest.size_minimum);
    return (side + multiple - 1) / multiple * multiple;
  };
  return {fixture.manifest.frames(), pad(one.height), pad(one.width)};
}

Result<std::vector<float>> run_case(Network& network, const Fixture& fixture, const FixtureCase& one,
                                    Executor executor) {
  const TileShape shape = padded_shape(fixture, one);
  std::vector<float> input;
  for (std::int64_t t = 0; t < shape.frames; ++t) {
    for (std::int64_t y = 0; y < shape.height; ++y) {
      for (std::int64_t x = 0; x < shape.width; ++x) {
        const auto source = ((t * one.height + reflected(y, one.height)) * one.width + reflected(x, one.width)) * 3;
        for (int c = 0; c < 3; ++c) input.push_back(one.input[static_cast<std::size_t>(source + c)]);
      }
    }
  }
  const std::int64_t scale = fixture.manifest.scale;
  std::vector<float> output(static_cast<std::size_t>(shape.height * shape.width * scale * scale * 3));
  KILN_TRY(network.run(executor, input, shape, output));
  std::vector<float> cropped;
  for (std::int64_t y = 0; y < one.height * scale; ++y) {
    const auto row = output.begin() + y * shape.width * scale * 3;
    cropped.insert(cropped.end(), row, row + one.width * scale * 3);
  }
  return cropped;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;  // NaN counts as a difference
  }
  return largest;
}

}  // namespace kiln::lane
