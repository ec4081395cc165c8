#include "sharding/precision.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace kiln::sharding {
namespace {

// Tensor cores for float16 came with Volta, bfloat16 with Ampere (CUDA C++ programming guide, compute capabilities).
constexpr int kFloat16Capability = 70;
constexpr int kBfloat16Capability = 80;

constexpr std::array kPrecisions = {Precision::kAuto, Precision::kFloat32, Precision::kFloat16, Precision::kBfloat16};

bool computes_in(int capability, GraphDtype dtype) {
  switch (dtype) {
    case GraphDtype::kFloat32: return true;
    case GraphDtype::kFloat16: return capability >= kFloat16Capability;
    case GraphDtype::kBfloat16: return capability >= kBfloat16Capability;
  }
  return false;
}

// Half the bytes, twice the speed; of the two halves the one whose steps an 8-bit picture does not show. bfloat16 stands
// last: a network that was trained in it, and overflows the other, is imported in it alone.
std::vector<GraphDtype> order_of(Precision precision, DtypeTaste taste) {
  switch (precision) {
    case Precision::kAuto: break;
    case Precision::kFloat32: return {GraphDtype::kFloat32};
    case Precision::kFloat16: return {GraphDtype::kFloat16};
    case Precision::kBfloat16: return {GraphDtype::kBfloat16};
  }
  if (taste == DtypeTaste::kGenerators) return {GraphDtype::kBfloat16, GraphDtype::kFloat32, GraphDtype::kFloat16};
  return {GraphDtype::kFloat16, GraphDtype::kFloat32, GraphDtype::kBfloat16};
}

}  // namespace

std::string_view to_string(Precision precision) {
  switch (precision) {
    case Precision::kAuto: return "auto";
    case Precision::kFloat32: return "float32";
    case Precision::kFloat16: return "float16";
    case Precision::kBfloat16: return "bfloat16";
  }
  return "?";
}

Result<Precision> precision_from_string(std::string_view text) {
  for (const Precision precision : kPrecisions) {
    if (text == to_string(precision)) return precision;
  }
  return fail(make_error(ErrorCode::kInvalidArgument, "precision '{}' is none of auto, float32, float16, bfloat16", text));
}

int compute_capability(std::string_view arch) {
  constexpr std::string_view kPrefix = "sm_";
  if (arch.substr(0, kPrefix.size()) != kPrefix) return 0;
  const std::string_view digits = arch.substr(kPrefix.size());
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() && value > 0 ? value : 0;
}

std::vector<GraphDtype> lane_dtypes(std::string_view arch, Precision precision,
                                    const std::vector<GraphDtype>& of_package, DtypeTaste taste) {
  const int capability = compute_capability(arch);
  std::vector<GraphDtype> out;
  for (const GraphDtype dtype : order_of(precision, taste)) {
    const bool there = std::find(of_package.begin(), of_package.end(), dtype) != of_package.end();
    if (there && computes_in(capability, dtype)) out.push_back(dtype);
  }
  return out;
}

std::vector<GraphDtype> dtypes_of(const PackageManifest& manifest) {
  std::vector<GraphDtype> out;
  for (const PackageGraph& graph : manifest.graphs) {
    if (std::find(out.begin(), out.end(), graph.dtype) == out.end()) out.push_back(graph.dtype);
  }
  return out;
}

}  // namespace kiln::sharding
