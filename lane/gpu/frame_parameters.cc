#include <algorithm>

#include "lane/gpu/frame_kernels.h"
#include "lane/media/color/frame_converter.h"

namespace kiln::lane {
namespace {

using kernels::FrameParameters;
using kernels::Layout;

static_assert(kernels::kDoublingDownTaps == kDoublingTaps && kernels::kHalvingTapCount == kHalvingTaps);

Layout layout_of(PixelFormat format) {
  if (format.layout == PixelLayout::kGray) return Layout::kGray;
  if (format.is_rgb()) return format.packed ? Layout::kPackedRgb : Layout::kPlanarGbr;
  return Layout::kYuv;
}

kernels::CodeRange code_range(const CodeScale& scale) {
  return {scale.offset, 1.0F / scale.scale, scale.scale, scale.offset + 0.5F, scale.code_max + 0.5F};
}

// The columns that either filter reads: two before the chroma column of the pair to two behind it.
void set_doubling_across(int offset_halves, FrameParameters& out) {
  constexpr int kBefore = 2;
  for (int parity = 0; parity < 2; ++parity) {
    const DoublingFilter filter = doubling_filter(offset_halves, parity);
    float* taps = out.doubling_across[parity] + kBefore + filter.first;
    std::copy(filter.taps.begin(), filter.taps.end(), taps);
  }
}

void set_filters(ChromaOffset offset, FrameParameters& out) {
  set_doubling_across(offset.across, out);
  for (int parity = 0; parity < 2; ++parity) {
    const DoublingFilter filter = doubling_filter(offset.down, parity);
    out.doubling_down_first[parity] = filter.first;
    std::copy(filter.taps.begin(), filter.taps.end(), out.doubling_down[parity]);
  }
  const HalvingFilter across = halving_filter(offset.across);
  const HalvingFilter down = halving_filter(offset.down);
  out.halving_across_first = across.first;
  out.halving_down_first = down.first;
  std::copy(across.taps.begin(), across.taps.end(), out.halving_across);
  std::copy(down.taps.begin(), down.taps.end(), out.halving_down);
}

void set_matrix(const SignalMatrix& matrix, FrameParameters& out) {
  for (std::size_t i = 0; i < 3; ++i) {
    std::copy(matrix.to_rgb[i].begin(), matrix.to_rgb[i].end(), out.to_rgb[i]);
    std::copy(matrix.from_rgb[i].begin(), matrix.from_rgb[i].end(), out.from_rgb[i]);
  }
}

}  // namespace

Result<FrameParameters> frame_parameters(const FrameKernelsSetup& setup) {
  const PixelFormat format = setup.format;
  KILN_TRY_ASSIGN(const FrameConverter converter, FrameConverter::create(format, setup.color, setup.width, setup.height,
                                                                         setup.out_of_gamut));
  FrameParameters out{};
  out.width = setup.width;
  out.height = setup.height;
  out.rgb = contiguous_rgb(setup.width);
  out.layout = layout_of(format);
  out.halved_across = format.chroma_shift_x();
  out.halved_down = format.chroma_shift_y();
  out.chroma_width = format.plane_width(1, setup.width);
  out.chroma_height = format.plane_height(1, setup.height);
  out.clamp = setup.out_of_gamut == OutOfGamut::kClamp ? 1 : 0;
  out.dither = setup.ordered_dither ? 1 : 0;
  for (int plane = 0; plane < format.plane_count(); ++plane) {
    const std::size_t bytes = format.plane_offset_bytes(plane, setup.width, setup.height);
    out.plane_offset[plane] = static_cast<long long>(bytes) / format.bytes_per_sample();
  }
  out.luma = code_range(converter.luma_scale());
  out.chroma = code_range(converter.chroma_scale());
  set_matrix(converter.matrix(), out);
  set_filters(converter.siting_offset(), out);
  return out;
}

}  // namespace kiln::lane
