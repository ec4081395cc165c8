// The CUDA driver's library: opened at run time, where there is one. Kiln is not linked to it, and no header of it is
// needed: the few functions that are used stand in cuda_driver.cc as they are in its stable interface.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct CUctx_st;
struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;

namespace kiln::lane {

inline constexpr const char* kCudaDriverName = "libcuda.so.1";  // the dynamic linker finds it

struct CudaFunctions {
  using Code = int;
  Code (*init)(unsigned flags) = nullptr;
  Code (*device)(int*, int ordinal) = nullptr;
  Code (*error_name)(Code, const char**) = nullptr;
  Code (*current_context)(CUctx_st**) = nullptr;
  Code (*set_current_context)(CUctx_st*) = nullptr;
  Code (*current_device)(int*) = nullptr;
  Code (*device_attribute)(int*, int attribute, int device) = nullptr;
  Code (*load_module)(CUmod_st**, const void* image, unsigned options, void* names, void** values) = nullptr;
  Code (*unload_module)(CUmod_st*) = nullptr;
  Code (*module_function)(CUfunc_st**, CUmod_st*, const char* name) = nullptr;
  Code (*allocate)(unsigned long long* address, std::size_t bytes) = nullptr;
  Code (*release)(unsigned long long address) = nullptr;
  Code (*memory_info)(std::size_t* free_bytes, std::size_t* all_bytes) = nullptr;
  Code (*copy_to_device)(unsigned long long address, const void* host, std::size_t bytes) = nullptr;
  Code (*launch)(CUfunc_st*, unsigned blocks_x, unsigned blocks_y, unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                 unsigned threads_z, unsigned shared_bytes, CUstream_st*, void** arguments, void** extra) = nullptr;
};

// Immutable; any thread. The library is never closed: it keeps state of the process.
class CudaDriver {
 public:
  // kUnavailable: there is no such library. kUnimplemented: one that lacks a function.
  [[nodiscard]] static Result<std::shared_ptr<const CudaDriver>> open(const std::string& path = kCudaDriverName);

  [[nodiscard]] const CudaFunctions& functions() const { return functions_; }
  // The error of a call that answered `code`; kResourceExhausted for memory.
  [[nodiscard]] Status check(CudaFunctions::Code code, std::string_view call) const;
  // The context that the calling thread has; an error where it has none.
  [[nodiscard]] Result<CUctx_st*> current_context() const;
  // "sm_90". The first needs no context, and sets the driver up where nobody did before.
  [[nodiscard]] Result<std::string> arch_of_device(int ordinal) const;
  [[nodiscard]] Result<std::string> current_arch() const;

 private:
  CudaDriver() = default;
  [[nodiscard]] Result<std::string> arch_of(int device) const;
  CudaFunctions functions_;
};

}  // namespace kiln::lane
