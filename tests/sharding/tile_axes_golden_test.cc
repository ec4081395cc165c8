// The windows that the planner lays are those with which the importer probed a network.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sharding/tile_planner.h"

namespace kiln::sharding {
namespace {

TEST(TilePlannerTest, LaysWindowsAsTheImporterProbedThem) {
  std::ifstream file(std::string(std::getenv("KILN_SOURCE_DIR")) + "/tests/golden/tile_axes.txt");
  int rows = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream row(line);
    TilingRules rules{.kind = TilingKind::kExact};
    TileShape shape;
    int length = 0;
    row >> length >> shape.width >> rules.halo >> rules.size_multiple;
    shape.height = shape.width;
    for (const TileWindow& window : tile_windows(shape.height, length, shape, rules)) {
      std::string expected;
      row >> expected;
      EXPECT_EQ(fmt::format("{}:{}-{}", window.x, window.keep_x, window.keep_x + window.keep_width), expected)
          << line;
    }
    std::string rest;
    EXPECT_FALSE(row >> rest) << line << ": fewer windows than expected";
    ++rows;
  }
  EXPECT_GT(rows, 5);
}

}  // namespace
}  // namespace kiln::sharding
