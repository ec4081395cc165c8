// Weights onto a card: out of this host's copy, or from the lane that reads it for all lanes of the host, by broadcast.
//
// The root copies chunk after chunk to its card and broadcasts each as soon as it is there; it never waits for the others
// before it copies. Where the group ends before all is here, whoever lacks chunks copies these itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "lane/gpu/host_feed.h"
#include "lane/gpu/transfer_device.h"
#include "lane/gpu/weight_share.h"

namespace kiln::lane {

struct BroadcastRules {
  std::size_t chunk_bytes = std::size_t{16} << 20U;
  // Without a chunk that arrives. The worker says at once who died: this is for a peer that stands still, or never comes.
  std::chrono::milliseconds patience{5'000};
  std::chrono::milliseconds root_patience{3'000};  // of a root that has all itself
};

struct WeightCounts {
  std::uint64_t copied_bytes = 0;    // over this card's host link
  std::uint64_t received_bytes = 0;  // by broadcast
};

// Belongs to the thread that loads packages.
class WeightBroadcast {
 public:
  // `share` may be nullptr: then all is copied. It outlives this.
  WeightBroadcast(std::unique_ptr<TransferDevice> device, WeightShare* share, BroadcastRules rules = {});
  ~WeightBroadcast();

  // Until every target has its bytes. All lanes of the group call it equally often, with targets of equal sizes.
  // An error is the card's; the group then goes on without us.
  [[nodiscard]] Status deliver(std::span<const WeightTarget> targets);
  [[nodiscard]] const WeightCounts& counts() const { return counts_; }

 private:
  class Delivery;
  std::unique_ptr<TransferDevice> device_;
  WeightShare* share_;
  const BroadcastRules rules_;
  WeightCounts counts_;
};

}  // namespace kiln::lane
