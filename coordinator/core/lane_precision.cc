// In what lanes compute a job's clips.
#include <set>

#include "coordinator/core/farm_turn.h"
#include "sharding/precision.h"

namespace kiln::coordinator {

std::vector<sharding::GraphDtype> package_dtypes(const JobRecord& job) {
  const auto manifest = sharding::parse_package_manifest(job.request.manifest, "manifest.toml");
  if (manifest) return sharding::dtypes_of(*manifest);
  return {sharding::GraphDtype::kFloat32, sharding::GraphDtype::kFloat16, sharding::GraphDtype::kBfloat16};
}

std::vector<std::string> probe_dtypes(const Turn& turn, const JobRecord& job) {
  const std::vector<sharding::GraphDtype> there = package_dtypes(job);
  const auto precision = sharding::precision_from_string(job.request.precision).value_or(sharding::Precision::kAuto);
  const bool mixed = job.request.numerics == "tolerant";
  std::set<std::string> wanted;
  for (const auto& [name, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      if (unusable_reason(turn, job, {name, id}, lane)) continue;
      for (const sharding::GraphDtype dtype : sharding::lane_dtypes(lane.offer.kind.arch, precision, there)) {
        wanted.emplace(sharding::to_string(dtype));
        if (!mixed) break;  // each class has what it is best in
      }
    }
  }
  return {wanted.begin(), wanted.end()};
}

bool computes_in(const net::LaneClass& kind, const std::string& dtype) {
  const auto precision = sharding::precision_from_string(dtype);
  const auto named = sharding::graph_dtype_from_string(dtype);
  return precision && named && !sharding::lane_dtypes(kind.arch, *precision, {*named}).empty();
}

}  // namespace kiln::coordinator
