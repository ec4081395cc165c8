// Frames on a card, from the decoder's planes to the encoder's: copied there, converted, run through the network, brought to
// the output's size, converted back and copied out. Copies in, work and copies out are streams of their own, and the host
// waits for none of them but at the two ends of the rings: with pinned buffers, made once, all three run at the same time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/engine/network.h"
#include "lane/gpu/frame_kernels.h"
#include "lane/gpu/kernel_module.h"
#include "sharding/tile_planner.h"

namespace kiln::lane {

struct DeviceFramesSetup {
  struct Picture {
    PixelFormat format;
    ColorDescription color;  // resolved
    int width = 0;
    int height = 0;
    bool operator==(const Picture&) const = default;
  };
  Picture source;
  Picture output;
  TileShape tile;
  std::vector<sharding::TileWindow> windows;
  int model_scale = 1;
  std::size_t sources = 0;  // in the ring: those that wait, that are looked at, that is being read
  std::size_t outputs = 0;  // in the ring: those that are being made, copied and written
  bool operator==(const DeviceFramesSetup&) const = default;
};

class DeviceFrames {
 public:
  struct Source;  // a frame of the clip
  struct Output;  // a frame for the encoder
  // Going away, they go back into their ring.
  using SourcePtr = std::shared_ptr<Source>;
  using OutputPtr = std::shared_ptr<Output>;

  // `network` is borrowed and outlives it; it is on the card.
  [[nodiscard]] static Result<std::shared_ptr<DeviceFrames>> create(Network& network, std::shared_ptr<const KernelModule> kernels,
                                                                    const DeviceFramesSetup& setup);
  ~DeviceFrames();
  DeviceFrames(const DeviceFrames&) = delete;
  DeviceFrames& operator=(const DeviceFrames&) = delete;

  // The decoding thread: sends planes on their way. Blocks while the ring is full.
  [[nodiscard]] Result<SourcePtr> upload(std::span<const std::byte> planes);
  // The model's thread: `sources` are as many as the network looks at. Returns when the work is in line; blocks while the
  // ring of outputs is full.
  struct Rendered {
    OutputPtr output;
    double blocked_s = 0.0;
  };
  [[nodiscard]] Result<Rendered> render(Executor executor, std::span<const SourcePtr> sources);
  // The encoding thread: waits until it is made. The planes stay until the output goes away.
  struct Downloaded {
    std::span<const std::byte> planes;
    double model_s = 0.0;  // that the card took, colour and size included
  };
  [[nodiscard]] Result<Downloaded> download(const OutputPtr& output);

 private:
  struct State;
  explicit DeviceFrames(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace kiln::lane
