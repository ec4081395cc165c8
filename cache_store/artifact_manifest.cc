#include "cache_store/artifact_manifest.h"

#include <fmt/format.h>

namespace kiln::cache {
namespace {

Error mismatch(const TensorSpec& spec, std::string_view what, const std::string& expected,
               const std::string& given) {
  return make_error(ErrorCode::kInvalidArgument, ExitCode::kInputRefused,
                    "tensor '{}': the artifact was compiled for {} {}, not {}", spec.name, what, expected, given);
}

std::string list_of(std::span<const std::int64_t> values) {
  return fmt::format("[{}]", fmt::join(values, ","));
}

Status check_shape(const TensorSpec& spec, const TensorView& tensor) {
  if (tensor.shape.size() != spec.shape_max.size() || tensor.strides.size() != tensor.shape.size()) {
    return fail(mismatch(spec, "rank", std::to_string(spec.shape_max.size()),
                         std::to_string(tensor.shape.size())));
  }
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] < spec.shape_min[i] || tensor.shape[i] > spec.shape_max[i]) {
      const std::string range = spec.shape_min == spec.shape_max
                                    ? list_of(spec.shape_max)
                                    : list_of(spec.shape_min) + " to " + list_of(spec.shape_max);
      return fail(mismatch(spec, "shape", range, list_of(tensor.shape)));
    }
  }
  return {};
}

Status check_strides(const TensorSpec& spec, const TensorView& tensor) {
  for (std::size_t i = 0; i < tensor.strides.size(); ++i) {
    if (spec.strides[i] == kStrideFollowsShape || tensor.shape[i] == 1) continue;
    if (tensor.strides[i] != spec.strides[i]) {
      return fail(mismatch(spec, "strides", list_of(spec.strides), list_of(tensor.strides)));
    }
  }
  return {};
}

}  // namespace

Status check_tensor(const TensorSpec& spec, const TensorView& tensor) {
  if (tensor.dtype != spec.dtype) {
    return fail(mismatch(spec, "dtype", spec.dtype, std::string(tensor.dtype)));
  }
  if (tensor.device != spec.device) {
    return fail(mismatch(spec, "device", spec.device, std::string(tensor.device)));
  }
  KILN_TRY(check_shape(spec, tensor));
  KILN_TRY(check_strides(spec, tensor));
  if (tensor.address % spec.alignment_bytes != 0) {
    return fail(mismatch(spec, "an alignment of", std::to_string(spec.alignment_bytes) + " bytes",
                         fmt::format("address {:#x}", tensor.address)));
  }
  return {};
}

std::string pre_authentication_encoding(std::string_view type, std::string_view body) {
  return fmt::format("DSSEv1 {} {} {} {}", type.size(), type, body.size(), body);
}

}  // namespace kiln::cache
