// The parts of a snapshot of the coordinator's state <-> bytes. Plain data; net/farm_snapshot.proto says how it is
// written, coordinator/durable_snapshot.h puts the parts together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "net/farm_records.h"

namespace kiln::net {

inline constexpr std::uint32_t kSnapshotStateFormat = 1;

struct SnapshotHead {
  TaskNumber next_task = 1;
  std::uint64_t next_order = 1;
  std::uint64_t parts = 0;  // that follow
  bool operator==(const SnapshotHead&) const = default;
};
struct SnapshotJob {  // its name is in the request; `finished` of its clips is in SnapshotSegments
  JobRecord record;
  bool operator==(const SnapshotJob&) const = default;
};
struct SnapshotTasks {
  std::vector<std::pair<TaskNumber, TaskRecord>> tasks;
  bool operator==(const SnapshotTasks&) const = default;
};
struct SnapshotSegments {
  JobName job;
  std::uint32_t clip = 0;
  std::vector<std::pair<std::int64_t, SegmentResult>> finished;
  bool operator==(const SnapshotSegments&) const = default;
};
struct SnapshotArtifact {  // its key is in `wanted`
  ArtifactRecord record;
  bool operator==(const SnapshotArtifact&) const = default;
};
struct SnapshotSetAside {
  LaneName lane;
  std::string why;
  bool operator==(const SnapshotSetAside&) const = default;
};
struct SnapshotDraining {
  WorkerName worker;
  bool operator==(const SnapshotDraining&) const = default;
};
using SnapshotPart = std::variant<SnapshotHead, SnapshotJob, SnapshotTasks, SnapshotSegments, SnapshotArtifact,
                                  SnapshotSetAside, SnapshotDraining, EnvelopeLearned>;

// Appends one part with its length.
void append_part(std::string& out, const SnapshotPart& part);
// The bytes of each part. kDataLoss: the lengths do not add up.
[[nodiscard]] Result<std::vector<std::string_view>> split_snapshot(std::string_view bytes);
// kDataLoss: no part, or a value out of bounds. kVersionMismatch: of a newer program.
[[nodiscard]] Result<SnapshotPart> decode_part(std::string_view bytes);

}  // namespace kiln::net
