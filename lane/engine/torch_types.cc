#include "lane/engine/torch_types.h"

#include <c10/core/Device.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>

#include <algorithm>
#include <mutex>

namespace kiln::lane {
namespace {

using sharding::ElementType;

constexpr std::pair<ElementType, c10::ScalarType> kTypes[] = {
    {ElementType::kUint8, c10::ScalarType::Byte},
    {ElementType::kInt8, c10::ScalarType::Char},
    {ElementType::kInt16, c10::ScalarType::Short},
    {ElementType::kInt32, c10::ScalarType::Int},
    {ElementType::kInt64, c10::ScalarType::Long},
    {ElementType::kFloat16, c10::ScalarType::Half},
    {ElementType::kFloat32, c10::ScalarType::Float},
    {ElementType::kFloat64, c10::ScalarType::Double},
    {ElementType::kBool, c10::ScalarType::Bool},
    {ElementType::kBfloat16, c10::ScalarType::BFloat16},
    {ElementType::kFloat8E4m3, c10::ScalarType::Float8_e4m3fn},
    {ElementType::kFloat8E5m2, c10::ScalarType::Float8_e5m2},
};

// The program links LibTorch's CPU part only. Opening this library registers the CUDA operators; it is
// never closed, since LibTorch keeps pointers into it. Artifacts call the driver by name and do not name its library.
Status open_cuda_library() {
  static std::once_flag once;
  static std::string problem;
  std::call_once(once, [] {
    if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      problem = fmt::format("no NVIDIA driver ({})", dlerror());
    } else if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      problem = fmt::format("no CUDA in this installation of torch ({})", dlerror());
    }
  });
  if (problem.empty()) return {};
  return fail(make_error(ErrorCode::kUnavailable, "{}", problem));
}

Result<c10::DeviceIndex> cuda_index(std::string_view name) {
  constexpr std::string_view kPrefix = "cuda:";
  const std::string_view digits = name.substr(std::min(kPrefix.size(), name.size()));
  if (name == "cuda") return c10::DeviceIndex{0};
  if (!name.starts_with(kPrefix) || digits.size() != 1 || digits[0] < '0' || digits[0] > '9') {
    return fail(bad_config("unknown device '{}': use 'cpu' or 'cuda:N'", name));
  }
  return static_cast<c10::DeviceIndex>(digits[0] - '0');
}

}  // namespace

c10::ScalarType to_torch(ElementType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (ours == type) return theirs;
  }
  return c10::ScalarType::Undefined;
}

ElementType from_torch(c10::ScalarType type) {
  for (const auto& [ours, theirs] : kTypes) {
    if (theirs == type) return ours;
  }
  return static_cast<ElementType>(0);
}

c10::MemoryFormat to_torch(sharding::MemoryFormat format) {
  switch (format) {
    case sharding::MemoryFormat::kChannelsLast: return c10::MemoryFormat::ChannelsLast;
    case sharding::MemoryFormat::kChannelsLast3d: return c10::MemoryFormat::ChannelsLast3d;
    case sharding::MemoryFormat::kPreserve: return c10::MemoryFormat::Preserve;
    case sharding::MemoryFormat::kContiguous: break;
  }
  return c10::MemoryFormat::Contiguous;
}

c10::ScalarType to_torch(sharding::GraphDtype dtype) {
  switch (dtype) {
    case sharding::GraphDtype::kFloat16: return c10::ScalarType::Half;
    case sharding::GraphDtype::kBfloat16: return c10::ScalarType::BFloat16;
    case sharding::GraphDtype::kFloat32: break;
  }
  return c10::ScalarType::Float;
}

Result<c10::Device> open_device(std::string_view name) {
  if (name == "cpu") return c10::Device(c10::DeviceType::CPU);
  KILN_TRY_ASSIGN(const c10::DeviceIndex index, cuda_index(name));
  KILN_TRY(open_cuda_library());
  try {
    const auto* guard = c10::impl::getDeviceGuardImpl(c10::DeviceType::CUDA);
    const auto count = guard->deviceCount();
    if (index < count) return c10::Device(c10::DeviceType::CUDA, index);
    return fail(make_error(ErrorCode::kUnavailable, "device {}: this machine has {} CUDA devices", name,
                           static_cast<int>(count)));
  } catch (const std::exception& error) {
    return fail(error_from_torch_exception("opening the device"));
  }
}

Error error_from_torch_exception(std::string_view what) {
  const auto describe = [&](ErrorCode code, std::string text) {
    // LibTorch appends stack traces behind the first line.
    text.resize(std::min(text.find('\n'), text.size()));
    return make_error(code, "{}: {}", what, text);
  };
  try {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    return describe(ErrorCode::kResourceExhausted, error.what_without_backtrace());
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    const bool memory = text.find("not enough memory") != std::string::npos ||
                        text.find("can't allocate memory") != std::string::npos;
    return describe(memory ? ErrorCode::kResourceExhausted : ErrorCode::kInternal, text);
  } catch (const std::bad_alloc&) {
    return describe(ErrorCode::kResourceExhausted, "out of memory");
  } catch (const std::exception& error) {
    return describe(ErrorCode::kInternal, error.what());
  }
}

}  // namespace kiln::lane
