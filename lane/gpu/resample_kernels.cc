#include "lane/gpu/resample_kernels.h"

#include <algorithm>

#include "lane/media/color/lanczos.h"
#include "sharding/frame_memory.h"

namespace kiln::lane {
namespace {

using kernels::ResampleParameters;

// Where the values begin: behind what is there, both kinds being 4 bytes.
template <typename Value>
std::size_t append(const std::vector<Value>& values, std::vector<std::byte>& out) {
  static_assert(sizeof(Value) == 4);
  const std::size_t offset = out.size();
  const auto bytes = std::as_bytes(std::span(values));
  out.insert(out.end(), bytes.begin(), bytes.end());
  return offset;
}

}  // namespace

ResampleParameters ResampleTables::placed(const std::byte* where) const {
  const auto at = [&](std::size_t i) { return static_cast<const void*>(where + offsets[i]); };
  ResampleParameters out = parameters;
  out.across_first = static_cast<const int*>(at(0));
  out.across_weights = static_cast<const float*>(at(1));
  out.down_first = static_cast<const int*>(at(2));
  out.down_weights = static_cast<const float*>(at(3));
  return out;
}

Result<ResampleTables> resample_tables(const ResampleSetup& setup) {
  KILN_TRY(LanczosResampler::create(setup.input_width, setup.input_height, setup.output_width, setup.output_height));
  const ResampleTaps across = lanczos3_taps(setup.input_width, setup.output_width);
  const ResampleTaps down = lanczos3_taps(setup.input_height, setup.output_height);
  ResampleTables tables;
  ResampleParameters& out = tables.parameters;
  out.input = contiguous_rgb(setup.input_width);
  out.output = contiguous_rgb(setup.output_width);
  out.input_width = setup.input_width;
  out.input_height = setup.input_height;
  out.output_width = setup.output_width;
  out.output_height = setup.output_height;
  out.band_first = 0;
  out.band_rows = std::min(setup.output_height, sharding::kResampleBandRows);
  out.across_count = across.count;
  out.down_count = down.count;
  tables.offsets = {append(across.first, tables.bytes), append(across.weights, tables.bytes), append(down.first, tables.bytes),
                    append(down.weights, tables.bytes)};
  return tables;
}

Result<ResampleKernels> ResampleKernels::create(std::shared_ptr<const KernelModule> module, const ResampleSetup& setup) {
  KILN_TRY_ASSIGN(const ResampleTables tables, resample_tables(setup));
  ResampleKernels out;
  const std::string suffix(suffix_of(setup.rgb_type));
  KILN_TRY_ASSIGN(out.down_, module->function("kiln_resample_down_" + suffix));
  KILN_TRY_ASSIGN(out.across_, module->function("kiln_resample_across_" + suffix));
  KILN_TRY_ASSIGN(out.tables_, DeviceMemory::copy_of(tables.bytes));
  out.parameters_ = tables.placed(reinterpret_cast<const std::byte*>(out.tables_->address()));
  out.scratch_bytes_ = 3 * sizeof(float) * static_cast<std::size_t>(setup.input_width) * static_cast<std::size_t>(out.parameters_.band_rows);
  out.module_ = std::move(module);
  return out;
}

Status ResampleKernels::resample(const void* device_rgb, const RgbStrides& strides, void* device_out, void* scratch,
                                 void* cuda_stream) const {
  ResampleParameters parameters = parameters_;
  parameters.input = strides;
  void* down[] = {&parameters, &device_rgb, &scratch};
  void* across[] = {&parameters, &scratch, &device_out};
  for (; parameters.band_first < parameters.output_height; parameters.band_first += parameters.band_rows) {
    KILN_TRY(module_->launch(down_, threads_over(3 * parameters.input_width, parameters.band_rows), down, cuda_stream));
    KILN_TRY(module_->launch(across_, threads_over(parameters.output_width, parameters.band_rows), across, cuda_stream));
  }
  return {};
}

}  // namespace kiln::lane
