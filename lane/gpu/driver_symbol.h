// A function of the CUDA driver's library by its name.
#pragma once

#include <dlfcn.h>

#include "base/result.h"
#include "lane/gpu/cuda_driver.h"

namespace kiln::lane {

// kUnimplemented: the library lacks it.
template <typename Function>
[[nodiscard]] Status find_driver_symbol(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out != nullptr) return {};
  return fail(make_error(ErrorCode::kUnimplemented,
                         "{} has no {}: this NVIDIA driver is too old for Kiln; install a newer one", kCudaDriverName, name));
}

}  // namespace kiln::lane
