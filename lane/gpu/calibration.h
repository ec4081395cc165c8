// How fast a card is, found out in about a second: what people read in lists, and a first guess at the speed of a lane that has
// rendered nothing yet. Run by a process of its own, whose memory goes with it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace kiln::lane {

// 0: not measured, or the card cannot do it.
struct CardCalibration {
  double float32_tflops = 0.0;   // matrix products: as LibTorch does them …
  double tf32_tflops = 0.0;      // … and as its convolutions do
  double float16_tflops = 0.0;
  double bfloat16_tflops = 0.0;
  double fp8_tflops = 0.0;
  double memory_bytes_per_s = 0.0;     // read and written
  double to_device_bytes_per_s = 0.0;  // from pinned memory
  double to_host_bytes_per_s = 0.0;
  std::uint64_t free_bytes = 0;      // of the card, with this process's context and a convolution's code in it …
  std::uint64_t reserved_bytes = 0;  // … and this much of LibTorch's allocator
  double seconds = 0.0;              // that all this took, once the card was set up
};

// `device`: "cuda:N".
[[nodiscard]] Result<CardCalibration> calibrate_card(const std::string& device);
// One line of JSON.
[[nodiscard]] std::string to_json(const CardCalibration& calibration);

}  // namespace kiln::lane
