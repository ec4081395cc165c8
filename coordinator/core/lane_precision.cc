// In what lanes compute a job's clips.
#include <set>

#include "coordinator/core/farm_turn.h"
#include "sharding/package/generator_manifest.h"
#include "sharding/precision.h"
#include "sharding/shot_memory.h"

namespace kiln::coordinator {

namespace {

// What a package that cannot be read has is found out by who opens it.
std::vector<sharding::GraphDtype> read_dtypes(const JobRecord& job) {
  if (generates(job)) {
    if (const auto manifest = sharding::parse_generator_manifest(job.request.manifest, "manifest.toml")) return sharding::dtypes_of(*manifest);
  } else if (const auto manifest = sharding::parse_package_manifest(job.request.manifest, "manifest.toml")) {
    return sharding::dtypes_of(*manifest);
  }
  return {sharding::GraphDtype::kFloat32, sharding::GraphDtype::kFloat16, sharding::GraphDtype::kBfloat16};
}

}  // namespace

bool generates(const JobRecord& job) { return job.request.kind == net::JobKind::kGenerate; }

sharding::DtypeTaste taste_of(const JobRecord& job) {
  return generates(job) ? sharding::DtypeTaste::kGenerators : sharding::DtypeTaste::kPictures;
}

const std::vector<sharding::GraphDtype>& package_dtypes(const Turn& turn, const JobRecord& job) {
  auto& known = turn.live().package_dtypes;
  const auto found = known.find(job.request.job);
  if (found != known.end()) return found->second;
  return known[job.request.job] = read_dtypes(job);
}

std::vector<std::string> probe_dtypes(const Turn& turn, const JobRecord& job) {
  const std::vector<sharding::GraphDtype>& there = package_dtypes(turn, job);
  const auto precision = sharding::precision_from_string(job.request.precision).value_or(sharding::Precision::kAuto);
  const bool mixed = job.request.numerics == "tolerant";
  std::set<std::string> wanted;
  for (const auto& [name, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      if (unusable_reason(turn, job, {name, id}, lane)) continue;
      for (const sharding::GraphDtype dtype : sharding::lane_dtypes(lane.offer.kind.arch, precision, there, taste_of(job))) {
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
