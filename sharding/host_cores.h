// What the cores of a host leave of its lanes' speeds. Pure. Lanes of one host decode and encode on the same cores, on which
// those without a card compute as well: several fast cards may be more than their host can feed.
#pragma once

#include <string>
#include <vector>

namespace kiln::sharding {

// One lane at work.
struct CoreDemand {
  double frames_per_second = 0.0;       // with all the cores that it could use
  double core_seconds_per_frame = 0.0;  // that it takes of its host; 0: not known, and then it is not held back
};

struct CoreShares {
  std::vector<double> frames_per_second;  // of each lane, in the same order
  bool enough = true;                     // every lane gets what it could use
};

// Each lane gets what it could use, or an equal part of what the others leave: as a system shares its cores among programs.
// The order of lanes changes nothing. `cores` 0: not known, and then nobody is held back.
[[nodiscard]] CoreShares share_cores(int cores, const std::vector<CoreDemand>& lanes);

// What a lane was measured to do, and what one frame takes of its host's cores for it; 0: not known.
struct LaneLoad {
  double frames_per_second = 0.0;        // as whole segments went of late
  double model_frames_per_second = 0.0;  // had there always been frames for its model, and room behind it
  double decode_core_seconds = 0.0;
  double model_core_seconds = 0.0;
  double encode_core_seconds = 0.0;
  bool beside = false;  // at work on something else: it takes its cores, and its frames are not counted

  [[nodiscard]] double core_seconds() const { return decode_core_seconds + model_core_seconds + encode_core_seconds; }
};

struct HostLoad {
  std::vector<double> frames_per_second;  // of each lane, as its host's cores let it
  double wanted = 0.0;                    // frames a second of all lanes but those beside, if there were cores enough
  double reached = 0.0;
  double decode_cores = 0.0;              // of the cores, what goes where at that speed
  double model_cores = 0.0;
  double encode_cores = 0.0;
  double beside_cores = 0.0;              // to lanes beside, whatever for

  [[nodiscard]] double taken() const { return decode_cores + model_cores + encode_cores + beside_cores; }
  [[nodiscard]] bool holds_back() const;  // so much that it is worth a word
};

// What lanes did on a host whose cores were all taken is no measure of what they can: of such a host the speeds of their models
// count, less what the cores do not carry. Where cores were free, a lane is as fast as it was.
[[nodiscard]] HostLoad load_host(int cores, const std::vector<LaneLoad>& lanes);

// "12.0 of 16 host cores go to encoders", or to "other clips": what takes most of them. Empty: it is not known.
[[nodiscard]] std::string largest_share_text(int cores, const HostLoad& load);

}  // namespace kiln::sharding
