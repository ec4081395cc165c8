// Lanczos-3 resampling of RGB on a card: what LanczosResampler does, with its taps and in its order.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "lane/gpu/device_memory.h"
#include "lane/gpu/frame_kernels.h"
#include "lane/gpu/kernel_module.h"
#include "lane/gpu/kernels/frame_parameters.h"

namespace kiln::lane {

struct ResampleSetup {
  int input_width = 0;
  int input_height = 0;
  int output_width = 0;
  int output_height = 0;
  RgbType rgb_type = RgbType::kFloat32;  // of input and output
};

// The taps of both directions in one piece, as they lie on the card.
struct ResampleTables {
  kernels::ResampleParameters parameters{};  // without the places of the tables
  std::vector<std::byte> bytes;
  std::array<std::size_t, 4> offsets{};  // first and weights across, first and weights down

  [[nodiscard]] kernels::ResampleParameters placed(const std::byte* where) const;
};
// Pure. Refuses what LanczosResampler refuses.
[[nodiscard]] Result<ResampleTables> resample_tables(const ResampleSetup& setup);

// Immutable after create(), which copies a few hundred kB of taps to the card. A call launches two kernels for each band of rows
// and returns; calls on different streams need scratch of their own.
class ResampleKernels {
 public:
  [[nodiscard]] static Result<ResampleKernels> create(std::shared_ptr<const KernelModule> module, const ResampleSetup& setup);

  // The output is contiguous; the input too, or as the strides say. `scratch`: scratch_bytes() on the card, aligned to a
  // float: rows that were blended, at the input's width.
  [[nodiscard]] Status resample(const void* device_rgb, void* device_out, void* scratch, void* cuda_stream) const {
    return resample(device_rgb, parameters_.input, device_out, scratch, cuda_stream);
  }
  [[nodiscard]] Status resample(const void* device_rgb, const RgbStrides& strides, void* device_out, void* scratch,
                                void* cuda_stream) const;
  [[nodiscard]] std::size_t scratch_bytes() const { return scratch_bytes_; }

 private:
  ResampleKernels() = default;

  std::shared_ptr<const KernelModule> module_;
  std::shared_ptr<const DeviceMemory> tables_;
  kernels::ResampleParameters parameters_{};
  KernelFunction down_ = nullptr;
  KernelFunction across_ = nullptr;
  std::size_t scratch_bytes_ = 0;
};

}  // namespace kiln::lane
