// How a piece's frames get from the decoder to the encoder: through host memory, or on a card. The stages of a pipeline call
// it, each from its own thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/engine/network.h"

namespace kiln::lane {

struct StageTimes;

class FramePath {
 public:
  virtual ~FramePath() = default;

  // A frame of the clip, ready for the network; and what the network made of it, for the encoder. Let go, they give their
  // buffers back.
  struct Source {
    virtual ~Source() = default;
  };
  struct Output {
    virtual ~Output() = default;
  };
  using SourcePtr = std::shared_ptr<Source>;
  using OutputPtr = std::unique_ptr<Output>;

  // The decoding thread. `planes`: of the clip's format.
  [[nodiscard]] virtual Result<SourcePtr> take_in(std::span<const std::byte> planes) = 0;
  // The model's thread; counts what it took where it knows that already. `sources`: what the network looks at.
  [[nodiscard]] virtual Result<OutputPtr> render(StageTimes& times, Executor executor, std::span<const SourcePtr> sources) = 0;
  // The encoding thread; waits where the frame is still being made. The planes, of the output's format, stay until the
  // output goes away or this is called again.
  [[nodiscard]] virtual Result<std::span<const std::byte>> planes_of(StageTimes& times, Output& output) = 0;
  // Of each channel one output more may be kept, with its planes, while the next is written.
  [[nodiscard]] virtual bool outputs_can_wait() const { return false; }
};

}  // namespace kiln::lane
