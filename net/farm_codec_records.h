// Between the parts of the snapshot's codec (farm_codec_snapshot.cc, farm_codec_records.cc). Nobody else includes this.
#pragma once

#include <cstddef>

#include "net/farm_codec_wire.h"
#include "net/farm_records.h"

namespace kiln::net {

namespace farm {
class SnapshotLane;
class SnapshotTask;
class SnapshotClip;
}  // namespace farm

inline constexpr std::size_t kStateTextBytesMax = 64U << 10U;

void put(const LaneName& in, farm::SnapshotLane& out);
LaneName get(const farm::SnapshotLane& in, WireReader& read);
void put(const TaskRecord& in, farm::SnapshotTask& out);
TaskRecord get(const farm::SnapshotTask& in, WireReader& read);
// But for its finished segments, which are parts of their own.
void put(const ClipRecord& in, farm::SnapshotClip& out);
ClipRecord get(const farm::SnapshotClip& in, WireReader& read);

}  // namespace kiln::net
