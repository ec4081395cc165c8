// Brings what the network made to the size that is encoded, where that is smaller.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "lane/media/color/lanczos.h"
#include "lane/pipelines/tile_runner.h"

namespace kiln::lane {

// For one input and one output size; made at the first frame. One thread.
class OutputResampler {
 public:
  // Replaces `frame` by its resampled form; nothing happens when it has the size already.
  [[nodiscard]] Status fit(int width, int height, std::unique_ptr<RgbFrame>& frame);

 private:
  std::optional<LanczosResampler> resampler_;
};

}  // namespace kiln::lane
