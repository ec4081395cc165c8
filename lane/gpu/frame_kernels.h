// One frame on a card: planes of code values <-> RGB, by kernels of our own.
//
// They do what FrameConverter does, in the same order and without fused multiply-add, so float RGB has the same bits
// and planes the same code values as on the CPU.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/result.h"
#include "lane/gpu/kernel_module.h"
#include "lane/gpu/kernels/frame_parameters.h"
#include "lane/media/color/row_kernels.h"
#include "lane/media/color_description.h"
#include "lane/media/pixel_format.h"

namespace kiln::lane {

// What one value of RGB is on the card. Narrow ones are rounded to the nearest, ties to even.
enum class RgbType { kFloat32, kFloat16, kBfloat16 };
[[nodiscard]] std::size_t bytes_of(RgbType type);
[[nodiscard]] std::string_view suffix_of(RgbType type);  // in names of kernels
// Blocks of threads, one thread for each of `columns` x `rows`.
[[nodiscard]] LaunchShape threads_over(int columns, int rows);

struct FrameKernelsSetup {
  PixelFormat format;
  ColorDescription color;  // resolved, as for FrameConverter
  int width = 0;
  int height = 0;
  RgbType rgb_type = RgbType::kFloat32;
  OutOfGamut out_of_gamut = OutOfGamut::kClamp;
  // Ordered: half a code value up or down by an 8x8 pattern (Bayer's) before rounding. Off: as the CPU rounds.
  bool ordered_dither = false;
};

using kernels::RgbStrides;
[[nodiscard]] constexpr RgbStrides contiguous_rgb(int width) { return {3 * width, 3, 1}; }

// Parameters of the kernels, from the same functions as FrameConverter's. Pure.
[[nodiscard]] Result<kernels::FrameParameters> frame_parameters(const FrameKernelsSetup& setup);

// Immutable after create(): any thread may launch, on any stream of the module's device. A call launches one kernel and
// returns: it waits for nothing, allocates nothing, and needs no scratch memory. What a launch did wrong on the card is
// seen by whoever waits for the stream next.
class FrameKernels {
 public:
  [[nodiscard]] static Result<FrameKernels> create(std::shared_ptr<const KernelModule> module,
                                                   const FrameKernelsSetup& setup);

  // `device_planes`: frame_bytes() bytes as FrameConverter has them, aligned to a sample. `device_rgb`: height x width x 3
  // values, aligned to a value: contiguous (which is 1 x 3 x height x width in channels_last), or as the strides say.
  // `cuda_stream`: a CUstream, which is what cudaStream_t is.
  [[nodiscard]] Status to_rgb(const void* device_planes, void* device_rgb, void* cuda_stream) const {
    return to_rgb(device_planes, device_rgb, parameters_.rgb, cuda_stream);
  }
  [[nodiscard]] Status to_rgb(const void* device_planes, void* device_rgb, const RgbStrides& strides, void* cuda_stream) const;
  [[nodiscard]] Status from_rgb(const void* device_rgb, void* device_planes, void* cuda_stream) const {
    return from_rgb(device_rgb, parameters_.rgb, device_planes, cuda_stream);
  }
  [[nodiscard]] Status from_rgb(const void* device_rgb, const RgbStrides& strides, void* device_planes, void* cuda_stream) const;

  [[nodiscard]] std::size_t frame_bytes() const { return frame_bytes_; }
  [[nodiscard]] std::size_t rgb_bytes() const { return rgb_bytes_; }

 private:
  FrameKernels() = default;

  [[nodiscard]] Status check_alignment(const void* planes, const void* rgb) const;

  std::shared_ptr<const KernelModule> module_;
  kernels::FrameParameters parameters_{};
  KernelFunction to_rgb_ = nullptr;
  KernelFunction from_rgb_ = nullptr;
  bool halves_chroma_ = false;
  std::size_t frame_bytes_ = 0;
  std::size_t rgb_bytes_ = 0;
  std::size_t sample_bytes_ = 1;
  std::size_t value_bytes_ = 4;
};

}  // namespace kiln::lane
