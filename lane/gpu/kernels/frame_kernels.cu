// The kernels, for NVRTC: thin wrappers around frame_functions.h. Names are kiln_WHAT_SAMPLE_RGB, as in
// kiln_to_rgb_u8_f16; lane/gpu/frame_kernels.cc looks them up.
#define KILN_DEVICE __device__ __forceinline__

#include "lane/gpu/kernels/frame_functions.h"
#include "lane/gpu/kernels/resample_functions.h"

namespace kiln::lane::kernels {

// NVRTC has no type for it without a header; the conversions are single instructions.
struct RgbFloat16 {
  KILN_DEVICE static float load(const void* rgb, Offset i) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<const unsigned short*>(rgb)[i]));
    return value;
  }
  KILN_DEVICE static void store(void* rgb, Offset i, float value) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    static_cast<unsigned short*>(rgb)[i] = bits;
  }
};

KILN_DEVICE int thread_x() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }
KILN_DEVICE int thread_y() { return static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y); }

template <typename Sample, typename Rgb, bool kDither>
KILN_DEVICE void run_from_rgb_halved(const FrameParameters& p, const void* rgb, Sample* planes, HalvingTile& tile) {
  const int x = static_cast<int>(blockIdx.x);
  const int y = static_cast<int>(blockIdx.y);
  const int thread = static_cast<int>(threadIdx.x);
  read_tile<Sample, Rgb, kDither>(p, rgb, planes, tile, x, y, thread);
  __syncthreads();
  halve_tile_across(p, tile, thread);
  __syncthreads();
  write_tile_chroma<kDither>(p, tile, planes, x, y, thread);
}

}  // namespace kiln::lane::kernels

using namespace kiln::lane::kernels;

#define KILN_KERNELS(suffix, Sample, Rgb)                                                                                       \
  extern "C" __global__ void kiln_to_rgb_##suffix(const __grid_constant__ FrameParameters p, const Sample* __restrict__ planes, \
                                                  void* __restrict__ rgb) {                                                     \
    pair_to_rgb<Sample, Rgb>(p, planes, rgb, thread_x(), thread_y());                                                           \
  }                                                                                                                             \
  extern "C" __global__ void kiln_from_rgb_##suffix(const __grid_constant__ FrameParameters p, const void* __restrict__ rgb,    \
                                                    Sample* __restrict__ planes) {                                              \
    pixel_to_planes<Sample, Rgb>(p, rgb, planes, thread_x(), thread_y());                                                       \
  }                                                                                                                             \
  extern "C" __global__ void __launch_bounds__(kTileThreads) kiln_from_rgb_halved_##suffix(                                     \
      const __grid_constant__ FrameParameters p, const void* __restrict__ rgb, Sample* __restrict__ planes) {                   \
    __shared__ HalvingTile tile;                                                                                                \
    p.dither != 0 ? run_from_rgb_halved<Sample, Rgb, true>(p, rgb, planes, tile)                                                \
                  : run_from_rgb_halved<Sample, Rgb, false>(p, rgb, planes, tile);                                              \
  }

KILN_KERNELS(u8_f32, unsigned char, RgbFloat32)
KILN_KERNELS(u8_f16, unsigned char, RgbFloat16)
KILN_KERNELS(u8_bf16, unsigned char, RgbBfloat16)
KILN_KERNELS(u16_f32, unsigned short, RgbFloat32)
KILN_KERNELS(u16_f16, unsigned short, RgbFloat16)
KILN_KERNELS(u16_bf16, unsigned short, RgbBfloat16)

#define KILN_RESAMPLERS(suffix, Rgb)                                                                                            \
  extern "C" __global__ void kiln_resample_down_##suffix(const __grid_constant__ ResampleParameters p,                          \
                                                         const void* __restrict__ rgb, float* __restrict__ blended) {           \
    resample_down<Rgb>(p, rgb, blended, thread_x(), thread_y());                                                                \
  }                                                                                                                             \
  extern "C" __global__ void kiln_resample_across_##suffix(const __grid_constant__ ResampleParameters p,                        \
                                                           const float* __restrict__ blended, void* __restrict__ rgb) {         \
    resample_across<Rgb>(p, blended, rgb, thread_x(), thread_y());                                                              \
  }

KILN_RESAMPLERS(f32, RgbFloat32)
KILN_RESAMPLERS(f16, RgbFloat16)
KILN_RESAMPLERS(bf16, RgbBfloat16)
