// What a worker says to its lane; net/lane.proto says what each field means.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "net/shot.h"

namespace kiln::net {

struct SetUp {
  LaneId lane;
  int threads = 1;
  std::string device = "cpu";
  std::string ffmpeg;
  std::string answers_folder;  // what that ffmpeg said earlier is kept there
  int encoder_threads = 1;
  std::string trusted_keys;
  int encoders = 1;  // that work side by side, on pieces of a segment
  std::uint64_t ring_bytes = 0;  // of the card's memory, for the buffers of the frame loop; 0: anything
  std::uint64_t context_bytes = 0;  // of the card's memory, that a lane takes before it does anything
};
struct LoadPackage {  // descriptors: each graph's .pt2, then the weights
  std::string manifest;
  std::string dtype;
  std::vector<std::uint32_t> graphs;
  std::int64_t tile_frames = 0;
  std::int64_t tile_height = 0;
  std::int64_t tile_width = 0;
  std::uint64_t share = 0;  // epoch of the group with which it loads; 0: alone
};
struct LoadGenerator {  // descriptors: each of the files
  std::string manifest;
  std::string dtype;  // of text encoder and transformer
  std::vector<std::string> files;  // names in the package
};
struct OpenShare {
  std::uint64_t epoch = 0;
  std::uint32_t rank = 0;
  std::uint32_t ranks = 0;
  bool operator==(const OpenShare&) const = default;
};
struct ShareId {
  std::uint64_t epoch = 0;
  std::string id;
  bool operator==(const ShareId&) const = default;
};
struct ShareOver {
  std::uint64_t epoch = 0;
  std::string why;  // empty: all have all
  bool operator==(const ShareOver&) const = default;
};
struct DefineClip {  // descriptor: the sealed clip description
  ClipId clip;
  std::string location{};  // where its bytes are: a path or a URL; empty: as described
};
struct OfferArtifact {  // descriptor: the sealed library
  std::string key;
  std::string envelope;
  std::string trusted_keys{};  // in place of those of SetUp; empty: those
};
struct OfferKernels {  // descriptor: the sealed cubin; none, and no envelope: there is none yet
  std::string key{};
  std::string envelope{};
  std::string trusted_keys{};  // in place of those of SetUp; empty: those
};
struct ProbeTask {
  TaskId task;
  std::string source;    // what it is called, in messages and in its description
  std::string location{};  // where its bytes are: a path or a URL; empty: source
  std::string output;
  std::string codec;
  std::string scale;
  std::int64_t network_scale = 1;
  bool deinterlace = false;
  std::string frame_rate;
  std::string pixel_format;
  Shot shot{};
};
struct SegmentTask {
  TaskId task;
  Attempt attempt;
  ClipId clip;
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::string path;
  std::int64_t tile_height = 0;
  std::int64_t tile_width = 0;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::string codec;
  int quality = -1;
  std::string preset;
  std::string pixel_format;
  std::string executor;
  std::string output;
  int encoder_threads = 0;  // those of the set-up
  std::string encoder{};    // of cards; empty: software
  Shot shot{};
};
struct JoinTask {
  TaskId task;
  ClipId clip;
  std::vector<std::string> segments;
  std::string path;
  std::string codec;
  std::string output;
  std::int64_t output_width = 0;
  std::int64_t output_height = 0;
  std::vector<std::int64_t> frame_counts;
  int quality = -1;
  std::string preset;
  std::string pixel_format;
  int encoder_threads = 0;  // those of the set-up
  std::string encoder{};    // of cards; empty: software
};
struct Cancel {
  TaskId task;
};
struct Shutdown {};

using ToLane = std::variant<SetUp, LoadPackage, DefineClip, OfferArtifact, ProbeTask, SegmentTask, JoinTask,
                            Cancel, Shutdown, OfferKernels, OpenShare, ShareId, ShareOver, LoadGenerator>;

}  // namespace kiln::net
