// A library for tests alone, with the handful of NCCL's functions that Kiln calls: broadcasts between processes of one host,
// through shared memory, without a card. As NCCL it sets up and works in a thread of its own, reports nothing of a peer that
// died, waits for it for ever, and lets go when it is told to abort. Streams are TestStream.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "lane/gpu/nccl_library.h"
#include "tests/lane/share/test_stream.h"

namespace {

using kiln::lane::NcclConfig;
using kiln::lane::NcclId;
using kiln::lane::TestStream;

constexpr int kSuccess = 0;
constexpr int kSystemError = 2;
constexpr int kInvalid = 4;
constexpr int kInProgress = 7;
constexpr std::size_t kSlots = 4;
constexpr std::size_t kSlotBytes = 64U << 10U;
constexpr std::size_t kRanksMost = 8;

struct Shared {  // zeroes, as a new file is
  std::atomic<std::uint32_t> arrived;
  std::atomic<std::uint64_t> written;  // slots, by the root
  std::array<std::atomic<std::uint64_t>, kRanksMost> read;
  std::array<std::array<char, kSlotBytes>, kSlots> slots;
};

Shared* open_shared(const NcclId& id) {
  const int fd = ::shm_open(id.bytes.data(), O_RDWR | O_CREAT, 0600);
  if (fd < 0) return nullptr;
  void* mapped = ::ftruncate(fd, sizeof(Shared)) == 0
                     ? ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                     : MAP_FAILED;
  ::close(fd);
  return mapped == MAP_FAILED ? nullptr : static_cast<Shared*>(mapped);
}

struct Work {
  char* data = nullptr;
  std::size_t bytes = 0;
  TestStream* stream = nullptr;
};

}  // namespace

struct ncclComm {
  NcclId id;
  int rank = 0;
  int ranks = 0;
  Shared* shared = nullptr;
  std::atomic<int> state{kInProgress};
  std::atomic<bool> ending{false};
  std::mutex mutex;
  std::condition_variable more;
  std::deque<Work> works;
  std::thread thread;
  std::uint64_t slots_done = 0;

  template <typename Condition>
  bool wait_until(Condition condition) {
    while (!condition()) {
      if (ending) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    return true;
  }

  bool others_read(std::uint64_t slots) const {
    for (int other = 1; other < ranks; ++other) {
      if (shared->read.at(static_cast<std::size_t>(other)) < slots) return false;
    }
    return true;
  }

  bool send(const char* from, std::size_t bytes) {
    if (!wait_until([&] { return others_read(slots_done + 1 - std::min<std::uint64_t>(slots_done + 1, kSlots)); })) return false;
    std::memcpy(shared->slots.at(slots_done % kSlots).data(), from, bytes);
    shared->written = ++slots_done;
    return true;
  }
  bool receive(char* to, std::size_t bytes) {
    if (!wait_until([&] { return shared->written > slots_done; })) return false;
    std::memcpy(to, shared->slots.at(slots_done % kSlots).data(), bytes);
    shared->read.at(static_cast<std::size_t>(rank)) = ++slots_done;
    return true;
  }

  bool move(const Work& work) {
    for (std::size_t done = 0; done < work.bytes; done += kSlotBytes) {
      const std::size_t bytes = std::min(kSlotBytes, work.bytes - done);
      if (!(rank == 0 ? send(work.data + done, bytes) : receive(work.data + done, bytes))) return false;
    }
    // A root's work is done when it is out of its hands for good, as that of a card is.
    return rank != 0 || wait_until([&] { return others_read(slots_done); });
  }

  void run() {
    shared = open_shared(id);
    if (shared == nullptr) {
      state = kSystemError;
      return;
    }
    ++shared->arrived;
    if (!wait_until([&] { return shared->arrived == static_cast<std::uint32_t>(ranks); })) return;
    if (rank == 0) ::shm_unlink(id.bytes.data());
    state = kSuccess;
    while (true) {
      Work work;
      {
        std::unique_lock lock(mutex);
        more.wait(lock, [&] { return ending || !works.empty(); });
        if (ending) return;
        work = works.front();
        works.pop_front();
      }
      if (!move(work)) return;
      ++work.stream->done;
    }
  }
};

extern "C" {

[[gnu::visibility("default")]] int ncclGetVersion(int* version) {
  *version = 22809;
  return kSuccess;
}
[[gnu::visibility("default")]] const char* ncclGetErrorString(int code) { return code == kSystemError ? "system error" : "error"; }
[[gnu::visibility("default")]] int ncclGetUniqueId(NcclId* id) {
  static std::atomic<int> made{0};
  if (std::getenv("TEST_NCCL_HAS_NO_ID") != nullptr) return kSystemError;
  std::snprintf(id->bytes.data(), id->bytes.size(), "/kiln-test-nccl-%d-%d", ::getpid(), ++made);
  return kSuccess;
}
[[gnu::visibility("default")]] int ncclCommInitRankConfig(ncclComm** comm, int ranks, NcclId id, int rank, NcclConfig* config) {
  const NcclConfig expected;
  if (config->magic != expected.magic || config->blocking != 0) return kInvalid;
  *comm = new ncclComm;
  (*comm)->id = id;
  (*comm)->rank = rank;
  (*comm)->ranks = ranks;
  (*comm)->thread = std::thread([made = *comm] { made->run(); });
  return kInProgress;
}
[[gnu::visibility("default")]] int ncclCommGetAsyncError(ncclComm* comm, int* state) {
  *state = comm->state;
  return kSuccess;
}
[[gnu::visibility("default")]] int ncclCommAbort(ncclComm* comm) {
  {
    const std::scoped_lock lock(comm->mutex);
    comm->ending = true;
  }
  comm->more.notify_all();
  comm->thread.join();
  if (comm->rank == 0) ::shm_unlink(comm->id.bytes.data());
  if (comm->shared != nullptr) ::munmap(comm->shared, sizeof(Shared));
  delete comm;
  return kSuccess;
}
[[gnu::visibility("default")]] int ncclGroupStart() { return kSuccess; }
[[gnu::visibility("default")]] int ncclGroupEnd() { return kSuccess; }
[[gnu::visibility("default")]] int ncclBroadcast(const void*, void* to, std::size_t count, int type, int root, ncclComm* comm,
                                                 CUstream_st* stream) {
  if (type != 1 || root != 0 || comm->state != kSuccess) return kInvalid;
  auto* counted = reinterpret_cast<TestStream*>(stream);
  ++counted->queued;
  {
    const std::scoped_lock lock(comm->mutex);
    comm->works.push_back({static_cast<char*>(to), count, counted});
  }
  comm->more.notify_all();
  return kSuccess;
}
}
