#include "worker/lane_process.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>

#include "net/lane_codec.h"

namespace kiln::worker {
namespace {

constexpr int kLaneChannelFd = 3;  // where the lane finds its end
constexpr std::chrono::seconds kSendDeadline{10};

// Settings that are there already stand, but for this one.
std::string allocator_settings(double memory_fraction) {
  const char* inherited = std::getenv(kAllocatorVariable);
  const std::string mine = allocator_limit(memory_fraction);
  return inherited == nullptr || *inherited == '\0' ? mine : fmt::format("{},{}", inherited, mine);
}

// NCCL's own settings, where nobody made another choice: no multicast (it can wait for a fabric manager for ever), and no door but
// to this host, since members of a group are lanes of one worker.
constexpr std::pair<const char*, const char*> kNcclSettings[] = {
    {"NCCL_NVLS_ENABLE", "0"}, {"NCCL_SOCKET_IFNAME", "lo"}, {"NCCL_RAS_ENABLE", "0"}};

// As sched_setaffinity takes them, made before the fork. A host may have more cores than a cpu_set_t.
std::vector<unsigned long> core_mask(const std::vector<int>& cores) {
  constexpr std::size_t kBits = 8 * sizeof(unsigned long);
  if (cores.empty()) return {};
  std::vector<unsigned long> mask(static_cast<std::size_t>(*std::max_element(cores.begin(), cores.end())) / kBits + 1);
  for (const int core : cores) mask[static_cast<std::size_t>(core) / kBits] |= 1UL << (static_cast<std::size_t>(core) % kBits);
  return mask;
}

}  // namespace

std::string allocator_limit(double memory_fraction) { return fmt::format("per_process_memory_fraction:{:.6f}", memory_fraction); }

std::string library_path(const std::string& torch_folder) {
  const char* inherited = std::getenv("LD_LIBRARY_PATH");
  std::string path = torch_folder + "/lib";
  if (inherited != nullptr && *inherited != '\0') path += std::string(":") + inherited;
  return path;
}

Result<LaneProcess> LaneProcess::start(LaneId id, const LaneStart& start) {
  KILN_TRY_ASSIGN(auto ends, net::LocalChannel::make_pair());
  SpawnOptions options;
  options.argv = {start.program, "--channel", std::to_string(kLaneChannelFd), "--lane",
                  std::to_string(id.value)};
  if (start.verbose) options.argv.emplace_back("--verbose");
  options.inherit = {{ends.second.fd(), kLaneChannelFd}};
  options.stderr_fd = start.stderr_fd;
  if (!start.torch_folder.empty()) {
    options.set_env.emplace_back("LD_LIBRARY_PATH", library_path(start.torch_folder));
  }
  options.nice = start.nice;
  options.set_env.emplace_back("CUDA_VISIBLE_DEVICES", start.card_uuid);
  for (const auto& [name, value] : kNcclSettings) {
    if (!start.card_uuid.empty() && std::getenv(name) == nullptr) options.set_env.emplace_back(name, value);
  }
  if (start.memory_fraction < 1.0) options.set_env.emplace_back(kAllocatorVariable, allocator_settings(start.memory_fraction));
  if (!start.cores.empty()) {
    // Cores that went away since they were looked at are no reason to have no lane.
    options.before_exec = [mask = core_mask(start.cores)] {
      ::sched_setaffinity(0, mask.size() * sizeof(unsigned long), reinterpret_cast<const cpu_set_t*>(mask.data()));
      return true;
    };
  }
  LaneProcess lane;
  lane.id_ = id;
  KILN_TRY_ASSIGN(lane.process_, ChildProcess::spawn(options));
  lane.channel_ = std::move(ends.first);
  return lane;
}

Status LaneProcess::send(const net::ToLane& message, const std::vector<int>& descriptors) {
  return channel_.send(net::encode(message), descriptors, kSendDeadline);
}

Result<LaneArrival> LaneProcess::receive() {
  KILN_TRY_ASSIGN(const net::LocalArrival arrival, channel_.receive_ready());
  if (!arrival.message) return LaneArrival{std::nullopt, arrival.closed};
  KILN_TRY_ASSIGN(auto decoded, net::decode_from_lane(arrival.message->bytes));
  return LaneArrival{std::move(decoded), false};
}

ExitStatus LaneProcess::stop(std::chrono::milliseconds deadline) {
  if (process_.running() && send(net::Shutdown{})) {
    const auto ended = process_.wait_for(deadline);
    if (ended && *ended) return **ended;
  }
  return process_.kill_and_wait();
}

}  // namespace kiln::worker
