// One lane process as its worker sees it: started, spoken to, killed.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/process.h"
#include "net/lane_messages.h"
#include "net/local_channel.h"

namespace kiln::worker {

// A lane of the CPU loads every core for hours. The farm's own processes, a command that asks how it is going, and whoever
// works at this machine go first. Compiling goes behind rendering, but so that the artifact comes while it still helps.
inline constexpr int kLaneNice = 5;
inline constexpr int kCompileNice = kLaneNice + 1;

struct LaneStart {
  std::string program;       // kiln-lane
  std::string torch_folder;  // its lib/ is where the lane finds LibTorch; empty: as the program was linked
  bool verbose = false;
  int stderr_fd = 2;  // borrowed for the start
  int nice = 0;       // above the worker's; its ffmpeg children inherit it
  std::string card_uuid;   // the one card that it sees; empty: none
  double memory_fraction = 1.0;  // of that card's memory, for LibTorch's allocator
  std::vector<int> cores;  // that it and its children run on; empty: where the worker may
};

inline constexpr const char* kAllocatorVariable = "PYTORCH_ALLOC_CONF";  // docs.pytorch.org, CUDA semantics, memory management
// Its word for: no more than this part of the card's memory.
[[nodiscard]] std::string allocator_limit(double memory_fraction);

// LD_LIBRARY_PATH of a lane: that torch's libraries first.
[[nodiscard]] std::string library_path(const std::string& torch_folder);

struct LaneArrival {
  std::optional<net::FromLane> message;
  bool closed = false;  // the lane closed its end, so it is ending
};

// Owned by the worker's loop thread, which also spawned it: the lane dies with that thread.
class LaneProcess {
 public:
  [[nodiscard]] static Result<LaneProcess> start(LaneId id, const LaneStart& start);

  [[nodiscard]] LaneId id() const { return id_; }
  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  [[nodiscard]] int fd() const { return channel_.fd(); }  // readable: call receive()
  [[nodiscard]] Status send(const net::ToLane& message, const std::vector<int>& descriptors = {});
  // What is there, without waiting: a lane may hang in the middle of a message.
  [[nodiscard]] Result<LaneArrival> receive();
  // Asks, waits up to `deadline`, then kills.
  ExitStatus stop(std::chrono::milliseconds deadline);
  ExitStatus kill() { return process_.kill_and_wait(); }

 private:
  LaneId id_;
  ChildProcess process_;
  net::LocalChannel channel_;
};

}  // namespace kiln::worker
