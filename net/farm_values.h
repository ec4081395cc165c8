// Values that the farm's messages and the coordinator's journal share. Plain data; net/farm.proto says how they are
// written, net/farm_codec.h turns one into the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"

namespace kiln::net {

// Names. A job's is made by its client and never used again, so that a submission may be repeated safely.
using JobName = std::string;     // 1–64 of [a-z0-9-], not - first
using WorkerName = std::string;  // 1–64 of [A-Za-z0-9._-]; one host may run several

// Compile tasks run beside a worker's lanes; this stands where a lane would.
inline constexpr LaneId kCompileLane{0xffff'ffff};

// Bytes in the store.
struct BlobRef {
  std::string sha256;  // 64 hex digits
  std::uint64_t bytes = 0;
  bool operator==(const BlobRef&) const = default;
};

// One file of a package, as its manifest names it ("manifest.toml", "graphs/…", "weights/…").
struct PackageFile {
  std::string path;
  BlobRef blob;
  bool operator==(const PackageFile&) const = default;
};
struct PackageRef {
  std::vector<PackageFile> files;  // manifest.toml first, then every file that it names
  bool operator==(const PackageRef&) const = default;
};

// Where a clip comes from: a blob, or a path that every worker sees (`in_place`).
struct ClipSource {
  bool in_place = false;
  std::string path;  // in place: absolute; else the file's name, for messages and the container's kind
  BlobRef blob;
  bool operator==(const ClipSource&) const = default;
};

// What the output is to be; the same words as in job files and on the command line.
struct OutputSettings {
  std::string file_name;  // decides the container
  std::string codec;
  int quality = -1;
  std::string preset;
  std::string pixel_format;
  std::string scale;
  std::string frame_rate;
  bool deinterlace = false;
  bool operator==(const OutputSettings&) const = default;
};

// ---- what lanes can do ----
// Two lanes with equal fields here make the same bits of an artifact and may share one clip.
struct LaneClass {
  std::string arch = "cpu";   // "cpu", "sm_90"
  std::string isa;            // of the host code: "avx2", "avx512"
  std::string device_name;    // of a card; empty for CPU lanes
  int threads = 0;            // of a CPU lane; 0 for cards
  std::string toolchain;      // digest of the toolchain that compiles for it; empty: none there
  auto operator<=>(const LaneClass&) const = default;
};
struct LaneOffer {
  LaneId lane;
  LaneClass kind;
  std::uint64_t budget_bytes = 0;  // for activations: memory or cap, less what else lives there
  int encoder_threads = 1;
  bool operator==(const LaneOffer&) const = default;
};

}  // namespace kiln::net
