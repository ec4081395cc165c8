#include "sharding/package/manifest_fields.h"

#include <algorithm>
#include <toml++/toml.h>

namespace kiln::sharding {
namespace {

constexpr std::size_t kSha256Digits = 64;

bool is_sha256(std::string_view text) {
  return text.size() == kSha256Digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// Relative, downwards only.
bool is_inside_package(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string_view::npos) return false;
  std::size_t start = 0;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

}  // namespace

void read_package_file(ManifestTable& table, std::string& file, std::string& sha256) {
  file = table.text("file");
  sha256 = table.text("sha256");
  if (!is_inside_package(file)) table.refuse("file", "must be a path inside the package");
  if (!is_sha256(sha256)) table.refuse("sha256", "must be 64 lower-case hexadecimal digits");
}

GraphDtype read_graph_dtype(ManifestTable& table) {
  if (const auto dtype = graph_dtype_from_string(table.text("dtype"))) return *dtype;
  table.refuse("dtype", "must be \"float32\", \"float16\" or \"bfloat16\"");
  return GraphDtype::kFloat32;
}

Status check_package_version(const toml::table& document, std::string_view origin) {
  const auto version = document["format_version"].value_exact<std::int64_t>();
  if (!version) {
    return fail(input_refused("{}: 'format_version' is missing; this is no package of Kiln", origin));
  }
  if (*version == kPackageFormatVersion) return {};
  return fail(input_refused("{}: the package has format version {}, this build reads {}: {}", origin,
                            *version, kPackageFormatVersion,
                            *version > kPackageFormatVersion ? "use a newer Kiln"
                                                             : "import the model again"));
}

}  // namespace kiln::sharding
