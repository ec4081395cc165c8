#include "lane/pipelines/output_resampler.h"

namespace kiln::lane {

Status OutputResampler::fit(int width, int height, std::unique_ptr<RgbFrame>& frame) {
  if (frame->width == width && frame->height == height) return {};
  if (!resampler_) {
    KILN_TRY_ASSIGN(resampler_, LanczosResampler::create(frame->width, frame->height, width, height));
  }
  auto small = std::make_unique<RgbFrame>();
  small->resize(height, width);
  constexpr std::size_t kChannels = 3;
  resampler_->resample({frame->pixels.data(), static_cast<std::size_t>(frame->width) * kChannels},
                       {small->pixels.data(), static_cast<std::size_t>(width) * kChannels});
  frame = std::move(small);
  return {};
}

}  // namespace kiln::lane
