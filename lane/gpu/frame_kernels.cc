#include "lane/gpu/frame_kernels.h"

#include <cstdint>

namespace kiln::lane {
namespace {

using kernels::FrameParameters;
using kernels::kBlockColumns;
using kernels::kBlockRows;

unsigned blocks_of(int size, int block) { return static_cast<unsigned>((size + block - 1) / block); }

LaunchShape tiles_of(const FrameParameters& p) {
  return {{blocks_of(p.chroma_width, kernels::kTileChromaColumns), blocks_of(p.height, kernels::kTileLumaRows), 1},
          {kernels::kTileThreads, 1, 1}};
}

bool aligned(const void* pointer, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0; }

}  // namespace

std::size_t bytes_of(RgbType type) { return type == RgbType::kFloat32 ? 4 : 2; }

std::string_view suffix_of(RgbType type) {
  switch (type) {
    case RgbType::kFloat16: return "f16";
    case RgbType::kBfloat16: return "bf16";
    case RgbType::kFloat32: break;
  }
  return "f32";
}

LaunchShape threads_over(int columns, int rows) {
  return {{blocks_of(columns, kBlockColumns), blocks_of(rows, kBlockRows), 1}, {kBlockColumns, kBlockRows, 1}};
}

Result<FrameKernels> FrameKernels::create(std::shared_ptr<const KernelModule> module, const FrameKernelsSetup& setup) {
  FrameKernels out;
  KILN_TRY_ASSIGN(out.parameters_, frame_parameters(setup));
  out.halves_chroma_ = setup.format.chroma_shift_x() != 0;
  out.frame_bytes_ = setup.format.frame_bytes(setup.width, setup.height);
  out.sample_bytes_ = static_cast<std::size_t>(setup.format.bytes_per_sample());
  out.value_bytes_ = bytes_of(setup.rgb_type);
  out.rgb_bytes_ = 3 * static_cast<std::size_t>(setup.width) * static_cast<std::size_t>(setup.height) * out.value_bytes_;
  const std::string kind = fmt::format("{}_{}", out.sample_bytes_ == 1 ? "u8" : "u16", suffix_of(setup.rgb_type));
  KILN_TRY_ASSIGN(out.to_rgb_, module->function("kiln_to_rgb_" + kind));
  KILN_TRY_ASSIGN(out.from_rgb_, module->function((out.halves_chroma_ ? "kiln_from_rgb_halved_" : "kiln_from_rgb_") + kind));
  out.module_ = std::move(module);
  return out;
}

Status FrameKernels::check_alignment(const void* planes, const void* rgb) const {
  if (aligned(planes, sample_bytes_) && aligned(rgb, value_bytes_)) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, "planes at {} and RGB at {}: not aligned to {} and {} bytes", planes, rgb,
                         sample_bytes_, value_bytes_));
}

Status FrameKernels::to_rgb(const void* device_planes, void* device_rgb, const RgbStrides& strides, void* cuda_stream) const {
  KILN_TRY(check_alignment(device_planes, device_rgb));
  FrameParameters parameters = parameters_;
  parameters.rgb = strides;
  void* arguments[] = {&parameters, &device_planes, &device_rgb};
  return module_->launch(to_rgb_, threads_over((parameters.width + 1) / 2, parameters.height), arguments, cuda_stream);
}

Status FrameKernels::from_rgb(const void* device_rgb, const RgbStrides& strides, void* device_planes,
                              void* cuda_stream) const {
  KILN_TRY(check_alignment(device_planes, device_rgb));
  FrameParameters parameters = parameters_;
  parameters.rgb = strides;
  void* arguments[] = {&parameters, &device_rgb, &device_planes};
  const LaunchShape shape = halves_chroma_ ? tiles_of(parameters) : threads_over(parameters.width, parameters.height);
  return module_->launch(from_rgb_, shape, arguments, cuda_stream);
}

}  // namespace kiln::lane
