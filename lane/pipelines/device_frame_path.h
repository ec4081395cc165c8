// Frames on a card. Its buffers are made once for clips that look alike, and serve one run after the other.
#pragma once

#include <memory>

#include "lane/gpu/kernel_module.h"
#include "lane/pipelines/frame_path.h"
#include "lane/pipelines/segment_run.h"

namespace kiln::lane {

class DeviceFrames;

// One thread.
class DevicePaths {
 public:
  // `network` is borrowed and outlives it; it is on the card. `waiting`: frames that may stand between two stages.
  DevicePaths(Network& network, std::shared_ptr<const KernelModule> kernels, std::size_t waiting);
  ~DevicePaths();
  DevicePaths(const DevicePaths&) = delete;
  DevicePaths& operator=(const DevicePaths&) = delete;

  [[nodiscard]] Result<std::unique_ptr<FramePath>> make(const SegmentSpec& spec);

 private:
  struct Made;
  Network& network_;
  std::shared_ptr<const KernelModule> kernels_;
  std::size_t waiting_;
  std::unique_ptr<Made> latest_;
};

}  // namespace kiln::lane
