// The cores that lanes of one host share: what its clips take of them, and what they leave of the lanes' speeds. Used inside
// coordinator/core alone.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/farm_state.h"
#include "sharding/clip_placement.h"
#include "sharding/host_cores.h"

namespace kiln::coordinator {

struct Turn;

// Under which name is kept what decoding and encoding a frame of that clip takes: whatever is decoded and encoded alike.
[[nodiscard]] std::string media_key(const JobRecord& job, std::uint32_t clip);

// After a segment: how fast its lane is, and what it took of its host.
void learn_speed(Turn& turn, const TaskRecord& task, const net::SegmentResult& result);

// Hosts, numbered as they are asked for, and what a frame of some kind takes there.
class HostTable {
 public:
  explicit HostTable(const Turn& turn) : turn_(turn) {}
  [[nodiscard]] int number_of(const WorkerSession& session);
  [[nodiscard]] const MediaCost* media_cost(const WorkerSession& session, const std::string& media);  // nullptr: not known
  [[nodiscard]] const std::vector<sharding::HostFit>& hosts() const { return hosts_; }

 private:
  const Turn& turn_;
  std::map<std::string, std::map<std::string, MediaCost>> media_;  // by media_key, as far as they were asked for, and host
  std::map<std::string, int> numbers_;
  std::set<net::WorkerName> named_;
  std::vector<sharding::HostFit> hosts_;
};

struct HostSpeeds {
  sharding::HostFit host;
  sharding::HostLoad load;
};
// Of the lanes that may work on a clip that is planned, all at once: as fast as each was of late, or as its host's cores carry,
// where lanes were measured one at a time, or with media that took less.
struct ClipSpeeds {
  std::map<LaneName, double> frames_per_second;  // 0: not known; lanes of their hosts that are at other work take their part
  double total = 0.0;  // those whose speed is not known are taken to be as fast as the others are in the mean
  std::int64_t frames_due = 0;  // of segments that they were given
  std::vector<HostSpeeds> hosts;  // of which it is known what their lanes take
};
[[nodiscard]] ClipSpeeds clip_speeds(const Turn& turn, const JobRecord& job, std::uint32_t clip);

// For people: what holds the lanes of a host back, or what they take of it.
[[nodiscard]] std::string host_line(const HostSpeeds& one);

}  // namespace kiln::coordinator
