// In what a lane computes: the job may say, else the card's arch does. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "sharding/package/package_manifest.h"

namespace kiln::sharding {

enum class Precision {
  kAuto,  // what the lane is fast in: float16 where the card has matrix units for it, else float32
  kFloat32,
  kFloat16,
  kBfloat16,
};
[[nodiscard]] std::string_view to_string(Precision precision);  // "auto", "float32", …
[[nodiscard]] Result<Precision> precision_from_string(std::string_view text);

// 90 of "sm_90", 120 of "sm_120"; 0 for everything else.
[[nodiscard]] int compute_capability(std::string_view arch);

// Which half precision is the better one.
enum class DtypeTaste {
  kPictures,    // float16: the steps of an 8-bit picture do not show, as bfloat16's do
  kGenerators,  // bfloat16: what such models are trained in
};

// What a lane of `arch` may compute in, best first, out of what the package has graphs of. Empty: this package does not
// run there as it is asked for.
[[nodiscard]] std::vector<GraphDtype> lane_dtypes(std::string_view arch, Precision precision,
                                                  const std::vector<GraphDtype>& of_package,
                                                  DtypeTaste taste = DtypeTaste::kPictures);

// Each once, in the manifest's order.
[[nodiscard]] std::vector<GraphDtype> dtypes_of(const PackageManifest& manifest);

}  // namespace kiln::sharding
