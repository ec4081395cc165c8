#include "lane/engine/part_weights.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

at::Tensor as_stored(const StoredTensor& stored) {
  at::Tensor tensor = at::empty(stored.shape, at::TensorOptions().dtype(to_torch(stored.dtype)));
  if (!stored.bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  return tensor;
}

c10::ScalarType type_of(const sharding::GeneratorParameter& parameter, sharding::GraphDtype dtype) {
  return parameter.high_precision ? c10::ScalarType::Float : to_torch(dtype);
}

Status check_stored(const StoredTensor& stored, const sharding::GeneratorTensor& row,
                    const sharding::GeneratorParameter& parameter) {
  if (stored.dtype == row.dtype && stored.shape == parameter.shape) return {};
  return fail(input_refused("{}: tensor '{}' is {} of {}, the manifest says {} of {}", row.file, row.name,
                            to_string(stored.dtype), fmt::join(stored.shape, "x"), to_string(row.dtype),
                            fmt::join(parameter.shape, "x")));
}

}  // namespace

Result<PartWeights> PartWeights::open(const GeneratorPackage& package, std::string_view weights) {
  PartWeights part(package, weights);
  for (const sharding::GeneratorTensor& row : package.manifest().tensors) {
    if (row.weights != weights) continue;
    part.rows_[{row.component, row.index}][row.parameter] = &row;
    KILN_TRY(part.open_file(row.file));
  }
  if (part.rows_.empty()) return fail(input_refused("{} has no weights '{}'", package.manifest().name, weights));
  return part;
}

Status PartWeights::open_file(const std::string& file) {
  if (files_.contains(file)) return {};
  KILN_TRY_ASSIGN(Mapping mapping, package_->map_weights(file));
  auto tensors = read_safetensors(mapping.bytes());
  if (!tensors) return fail(std::move(tensors).error().with_context(file));
  files_.emplace(file, File{std::move(mapping), std::move(*tensors)});
  return {};
}

Result<const StoredTensor*> PartWeights::find(const std::string& file, const std::string& name) const {
  const auto opened = files_.find(file);
  if (opened != files_.end()) {
    const auto found = opened->second.tensors.find(name);
    if (found != opened->second.tensors.end()) return &found->second;
  }
  return fail(input_refused("{}: tensor '{}' is missing; the file was changed. Import the model again", file, name));
}

Result<at::Tensor> PartWeights::load_tensor(const sharding::GeneratorTensor& row,
                                            const sharding::GeneratorParameter& parameter, sharding::GraphDtype dtype,
                                            std::string_view device_name) const {
  KILN_TRY_ASSIGN(const c10::Device device, open_device(device_name));
  KILN_TRY_ASSIGN(const StoredTensor* stored, find(row.file, row.name));
  KILN_TRY(check_stored(*stored, row, parameter));
  at::Tensor tensor = as_stored(*stored).to(device);
  if (!row.scale.empty()) {
    KILN_TRY_ASSIGN(const StoredTensor* scale, find(row.file, row.scale));
    const at::Tensor number = as_stored(*scale).to(at::kFloat);
    if (number.numel() != 1) return fail(input_refused("{}: the scale '{}' is no single number", row.file, row.scale));
    tensor = tensor.to(at::kFloat).mul_(number.item<float>());
  }
  return tensor.to(type_of(parameter, dtype));
}

Result<std::vector<at::Tensor>> PartWeights::load(std::string_view component, std::int64_t index,
                                                  sharding::GraphDtype dtype, std::string_view device) const {
  const auto rows = rows_.find(Place{component, index});
  if (rows == rows_.end()) return fail(input_refused("{} has no {} {}", name_, component, index));
  std::vector<at::Tensor> tensors;
  try {
    const c10::InferenceMode inference;
    for (const sharding::GeneratorParameter* parameter : package_->manifest().parameters_of(component)) {
      KILN_TRY_ASSIGN(at::Tensor tensor, load_tensor(*rows->second.at(parameter->name), *parameter, dtype, device));
      tensors.push_back(std::move(tensor));
    }
  } catch (const std::exception&) {
    return fail(error_from_torch_exception(fmt::format("loading {} {} of {}", component, index, name_)));
  }
  return tensors;
}

}  // namespace kiln::lane
