#include "lane/gpu/host_feed.h"

#include <algorithm>
#include <cstring>

namespace kiln::lane {
namespace {

constexpr std::size_t kFeedersMost = 8;

// One thread is slower than a card's link. Half of the cores that the lane may use: its other threads work meanwhile.
std::size_t feeders() { return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, kFeedersMost); }

}  // namespace

HostFeed::HostFeed(std::span<const WeightChunk> chunks, std::span<const WeightTarget> targets, Slots slots, std::size_t first)
    : chunks_(chunks), targets_(targets), slots_(slots), filled_(chunks.size()), next_(first), released_(first) {
  const std::size_t threads = std::min(feeders(), chunks.size() - std::min(first, chunks.size()));
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

HostFeed::~HostFeed() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  free_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool HostFeed::has(std::size_t chunk) {
  const std::scoped_lock lock(mutex_);
  return filled_.at(chunk);
}

void HostFeed::release(std::size_t chunk) {
  {
    const std::scoped_lock lock(mutex_);
    released_ = std::max(released_, chunk + 1);
  }
  free_.notify_all();
}

void HostFeed::work() {
  while (true) {
    std::size_t mine = 0;
    {
      std::unique_lock lock(mutex_);
      free_.wait(lock, [&] { return ending_ || next_ >= chunks_.size() || next_ < released_ + slots_.count; });
      if (ending_ || next_ >= chunks_.size()) return;
      mine = next_++;
    }
    fill(mine);
    const std::scoped_lock lock(mutex_);
    filled_[mine] = true;
  }
}

void HostFeed::fill(std::size_t chunk) const {
  std::byte* to = slots_.memory + chunk % slots_.count * slots_.bytes;
  for (const WeightPiece& piece : chunks_[chunk].pieces) {
    std::memcpy(to, targets_[piece.tensor].host.data() + piece.offset, piece.bytes);
    to += piece.bytes;
  }
}

}  // namespace kiln::lane
