#include "lane/gpu/cuda_driver.h"

#include <dlfcn.h>

#include "lane/gpu/driver_symbol.h"

namespace kiln::lane {
namespace {

// ---- values of cuda.h ----
constexpr int kSuccess = 0;
constexpr int kOutOfMemory = 2;
constexpr int kInvalidImage = 200;
constexpr int kInvalidContext = 201;
constexpr int kNoBinaryForGpu = 209;
constexpr int kFirstBrokenContext = 700;  // an illegal address, and what else ends a context
constexpr int kLastBrokenContext = 719;
constexpr int kCapabilityMajor = 75;
constexpr int kCapabilityMinor = 76;

Result<CudaFunctions> find_all(void* library) {
  CudaFunctions out;
  KILN_TRY(find_driver_symbol(library, "cuGetErrorName", out.error_name));
  KILN_TRY(find_driver_symbol(library, "cuInit", out.init));
  KILN_TRY(find_driver_symbol(library, "cuDeviceGet", out.device));
  KILN_TRY(find_driver_symbol(library, "cuCtxGetCurrent", out.current_context));
  KILN_TRY(find_driver_symbol(library, "cuCtxSetCurrent", out.set_current_context));
  KILN_TRY(find_driver_symbol(library, "cuCtxGetDevice", out.current_device));
  KILN_TRY(find_driver_symbol(library, "cuDeviceGetAttribute", out.device_attribute));
  KILN_TRY(find_driver_symbol(library, "cuModuleLoadDataEx", out.load_module));
  KILN_TRY(find_driver_symbol(library, "cuModuleUnload", out.unload_module));
  KILN_TRY(find_driver_symbol(library, "cuModuleGetFunction", out.module_function));
  KILN_TRY(find_driver_symbol(library, "cuMemAlloc_v2", out.allocate));
  KILN_TRY(find_driver_symbol(library, "cuMemFree_v2", out.release));
  KILN_TRY(find_driver_symbol(library, "cuMemGetInfo_v2", out.memory_info));
  KILN_TRY(find_driver_symbol(library, "cuMemcpyHtoD_v2", out.copy_to_device));
  KILN_TRY(find_driver_symbol(library, "cuLaunchKernel", out.launch));
  return out;
}

std::string_view what_to_do(int code) {
  switch (code) {
    case kOutOfMemory: return "; the card's memory is full: smaller tiles, or end what else runs there";
    case kInvalidContext: return "; this thread has no context of a card: LibTorch makes it with the first tensor there";
    case kInvalidImage:
    case kNoBinaryForGpu: return "; these kernels were compiled for another kind of card";
    default: break;
  }
  const bool broken = kFirstBrokenContext <= code && code <= kLastBrokenContext;
  return broken ? "; the context is lost: only a new lane process can use the card again" : "";
}

}  // namespace

Result<std::shared_ptr<const CudaDriver>> CudaDriver::open(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return fail(make_error(ErrorCode::kUnavailable, "no NVIDIA driver here ({})", why == nullptr ? path : why));
  }
  std::shared_ptr<CudaDriver> driver(new CudaDriver());
  KILN_TRY_ASSIGN(driver->functions_, find_all(library));
  return std::shared_ptr<const CudaDriver>(std::move(driver));
}

Status CudaDriver::check(CudaFunctions::Code code, std::string_view call) const {
  if (code == kSuccess) return {};
  const char* name = nullptr;
  if (functions_.error_name(code, &name) != kSuccess || name == nullptr) name = "an unknown error";
  const ErrorCode kind = code == kOutOfMemory ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable;
  return fail(make_error(kind, "{}: {} ({}){}", call, name, code, what_to_do(code)));
}

Result<CUctx_st*> CudaDriver::current_context() const {
  CUctx_st* context = nullptr;
  KILN_TRY(check(functions_.current_context(&context), "cuCtxGetCurrent"));
  if (context == nullptr) KILN_TRY(check(kInvalidContext, "cuCtxGetCurrent"));
  return context;
}

Result<std::string> CudaDriver::arch_of_device(int ordinal) const {
  int device = 0;
  KILN_TRY(check(functions_.init(0), "cuInit"));
  KILN_TRY(check(functions_.device(&device, ordinal), "cuDeviceGet"));
  return arch_of(device);
}

Result<std::string> CudaDriver::current_arch() const {
  int device = 0;
  KILN_TRY(check(functions_.current_device(&device), "cuCtxGetDevice"));
  return arch_of(device);
}

Result<std::string> CudaDriver::arch_of(int device) const {
  int major = 0;
  int minor = 0;
  KILN_TRY(check(functions_.device_attribute(&major, kCapabilityMajor, device), "cuDeviceGetAttribute"));
  KILN_TRY(check(functions_.device_attribute(&minor, kCapabilityMinor, device), "cuDeviceGetAttribute"));
  return fmt::format("sm_{}{}", major, minor);
}

}  // namespace kiln::lane
