// Kiln's names of element types, memory formats and devices ↔ LibTorch's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sharding/graph/exported_graph.h"
#include "sharding/package/package_manifest.h"

namespace c10 {
struct Device;
enum class MemoryFormat : std::int8_t;
enum class ScalarType : std::int8_t;
}  // namespace c10

namespace kiln::lane {

[[nodiscard]] c10::ScalarType to_torch(sharding::ElementType type);
[[nodiscard]] sharding::ElementType from_torch(c10::ScalarType type);
[[nodiscard]] c10::MemoryFormat to_torch(sharding::MemoryFormat format);
[[nodiscard]] c10::ScalarType to_torch(sharding::GraphDtype dtype);

// "cpu" or "cuda:N". Asking for CUDA opens LibTorch's CUDA library and fails with the reason where there
// is no card.
[[nodiscard]] Result<c10::Device> open_device(std::string_view name);

// In a catch block: the exception being handled as an error; out of memory is kResourceExhausted.
[[nodiscard]] Error error_from_torch_exception(std::string_view what);

}  // namespace kiln::lane
