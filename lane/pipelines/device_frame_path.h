// Frames on a card. Its buffers are made once for clips that look alike, and serve one piece after the other, and those
// beside it.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "lane/gpu/kernel_module.h"
#include "lane/pipelines/frame_path.h"
#include "lane/pipelines/segment_run.h"
#include "sharding/card_memory.h"

namespace kiln::lane {

class DeviceFrames;

// Any thread.
class DevicePaths {
 public:
  // `network` is borrowed and outlives it; it is on the card.
  DevicePaths(Network& network, std::shared_ptr<const KernelModule> kernels, sharding::RingSizes rings);
  ~DevicePaths();
  DevicePaths(const DevicePaths&) = delete;
  DevicePaths& operator=(const DevicePaths&) = delete;

  [[nodiscard]] Result<std::unique_ptr<FramePath>> make(const SegmentSpec& spec);
  // What stands on the card for such clips, weights apart.
  [[nodiscard]] sharding::CardHoldings holdings_for(const SegmentSpec& spec) const;
  // How many channels may be at work on frames of that size.
  [[nodiscard]] std::size_t channels_for(const SegmentSpec& spec) const;

 private:
  struct Made;
  [[nodiscard]] std::uint64_t value_bytes() const;  // of RGB

  Network& network_;
  std::shared_ptr<const KernelModule> kernels_;
  const sharding::RingSizes rings_;
  std::mutex mutex_;
  std::unique_ptr<Made> latest_;  // guarded by mutex_
};

}  // namespace kiln::lane
