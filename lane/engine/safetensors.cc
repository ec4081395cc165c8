#include "lane/engine/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "sharding/graph/json_reading.h"

namespace kiln::lane {
namespace {

using sharding::ElementType;
using sharding::Json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kRankMax = 16;
constexpr std::size_t kNameMax = 1024;

constexpr std::array<std::pair<std::string_view, ElementType>, 12> kDtypes = {{
    {"F64", ElementType::kFloat64}, {"F32", ElementType::kFloat32}, {"F16", ElementType::kFloat16},
    {"BF16", ElementType::kBfloat16}, {"I64", ElementType::kInt64}, {"I32", ElementType::kInt32},
    {"I16", ElementType::kInt16}, {"I8", ElementType::kInt8}, {"U8", ElementType::kUint8},
    {"BOOL", ElementType::kBool}, {"F8_E4M3", ElementType::kFloat8E4m3},
    {"F8_E5M2", ElementType::kFloat8E5m2},
}};

Result<ElementType> read_dtype(const Json& json) {
  for (const auto& [name, type] : kDtypes) {
    if (json == name) return type;
  }
  return fail(input_refused("unknown dtype"));
}

// Bytes that a tensor of this shape takes; overflow is an error.
Result<std::uint64_t> byte_size(ElementType dtype, const std::vector<std::int64_t>& shape) {
  std::uint64_t bytes = static_cast<std::uint64_t>(sharding::element_bytes(dtype));
  for (const std::int64_t side : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(side), &bytes)) {
      return fail(input_refused("its shape is too large"));
    }
  }
  return bytes;
}

Result<std::vector<std::int64_t>> read_numbers(const Json& json, std::size_t count_max) {
  KILN_TRY(sharding::expect_array(json, count_max));
  std::vector<std::int64_t> numbers;
  for (const Json& item : json) {
    KILN_TRY_ASSIGN(const std::int64_t number, sharding::to_integer(item));
    if (number < 0) return fail(input_refused("a negative size"));
    numbers.push_back(number);
  }
  return numbers;
}

Result<StoredTensor> read_tensor(const Json& json, std::span<const std::byte> data) {
  KILN_TRY(sharding::expect_keys(json, {"dtype", "shape", "data_offsets"}));
  StoredTensor tensor;
  KILN_TRY_ASSIGN(const Json* dtype, sharding::member(json, "dtype"));
  KILN_TRY_ASSIGN(tensor.dtype, read_dtype(*dtype));
  KILN_TRY_ASSIGN(const Json* shape, sharding::member(json, "shape"));
  KILN_TRY_ASSIGN(tensor.shape, read_numbers(*shape, kRankMax));
  KILN_TRY_ASSIGN(const Json* offsets_json, sharding::member(json, "data_offsets"));
  KILN_TRY_ASSIGN(const auto offsets, read_numbers(*offsets_json, 2));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) return fail(input_refused("bad offsets"));
  const auto begin = static_cast<std::uint64_t>(offsets[0]);
  const auto end = static_cast<std::uint64_t>(offsets[1]);
  if (end > data.size()) return fail(input_refused("it ends behind the file; the file is truncated"));
  KILN_TRY_ASSIGN(const std::uint64_t bytes, byte_size(tensor.dtype, tensor.shape));
  if (bytes != end - begin) return fail(input_refused("its shape does not match its bytes"));
  tensor.bytes = data.subspan(begin, end - begin);
  return tensor;
}

Status expect_full_cover(const StoredTensors& tensors, std::span<const std::byte> data) {
  std::vector<std::pair<const std::byte*, const std::byte*>> ranges;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.bytes.empty()) continue;
    ranges.emplace_back(tensor.bytes.data(), tensor.bytes.data() + tensor.bytes.size());
  }
  std::sort(ranges.begin(), ranges.end());
  const std::byte* position = data.data();
  for (const auto& [begin, end] : ranges) {
    if (begin < position) return fail(input_refused("safetensors: two tensors overlap"));
    if (begin > position) return fail(input_refused("safetensors: a hole between tensors"));
    position = end;
  }
  if (position != data.data() + data.size()) {
    return fail(input_refused("safetensors: bytes behind the last tensor"));
  }
  return {};
}

Result<std::uint64_t> header_length(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) return fail(input_refused("safetensors: the file is truncated"));
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) {
    length = (length << 8U) | std::to_integer<std::uint64_t>(file[i]);
  }
  if (length > kSafetensorsHeaderBytesMax || length > file.size() - kLengthBytes) {
    return fail(input_refused("safetensors: a header of {} bytes in a file of {}", length, file.size()));
  }
  return length;
}

}  // namespace

Result<StoredTensors> read_safetensors(std::span<const std::byte> file) {
  KILN_TRY_ASSIGN(const std::uint64_t length, header_length(file));
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  auto header = sharding::load_json(text, kSafetensorsHeaderBytesMax);
  if (!header) return fail(std::move(header).error().with_context("safetensors header"));
  KILN_TRY(sharding::expect_object(*header));
  if (header->size() > kSafetensorsTensorsMax) return fail(input_refused("safetensors: too many tensors"));
  const auto data = file.subspan(kLengthBytes + length);
  StoredTensors tensors;
  for (const auto& [name, json] : header->items()) {
    if (name == "__metadata__") continue;
    if (name.size() > kNameMax) return fail(input_refused("safetensors: a name is too long"));
    auto tensor = read_tensor(json, data);
    if (!tensor) {
      return fail(std::move(tensor).error().with_context("safetensors, tensor '" + name + "'"));
    }
    tensors.emplace(name, std::move(*tensor));
  }
  KILN_TRY(expect_full_cover(tensors, data));
  return tensors;
}

}  // namespace kiln::lane
