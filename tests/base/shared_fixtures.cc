#include "tests/base/shared_fixtures.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/fd.h"
#include "base/sha256.h"

namespace kiln::test {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kScriptBytesMax = 4U << 20U;
constexpr std::size_t kNameDigits = 12;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

std::string recipe_digest(const std::vector<std::string>& folders) {
  const fs::path root = environment("KILN_SOURCE_DIR");
  std::vector<fs::path> files;
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::directory_iterator(root / folder)) {
      if (entry.path().extension() == ".py") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  files.push_back(root / "python/constraints.txt");
  std::string all;
  for (const fs::path& file : files) all += read_file(file.string(), kScriptBytesMax).value_or("");
  return sha256(all).hex().substr(0, kNameDigits);
}

std::string fixtures_folder() {
  const std::string given = environment("KILN_TEST_FIXTURES");
  if (!given.empty()) return given;
  static const std::string kDigest = recipe_digest({"python/kiln_import", "tests/models"});
  return environment("KILN_BINARY_DIR") + "/fixtures/" + kDigest;
}

}  // namespace kiln::test
