// Our kernels in the memory of a card: compiled for its kind, loaded into a context.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

struct CUctx_st;
struct CUfunc_st;
struct CUmod_st;

namespace kiln::lane {

class CudaDriver;

using KernelFunction = CUfunc_st*;  // CUfunction

struct LaunchShape {
  std::array<unsigned, 3> blocks{1, 1, 1};
  std::array<unsigned, 3> threads{1, 1, 1};
};

// A loaded module. It belongs to the context that was current when it was loaded, and must be let go before that ends: a
// lane's is the primary context of its card, which LibTorch made and which ends with the process. Any thread may launch.
class KernelModule {
 public:
  // `image`: a cubin for the card of the current context.
  [[nodiscard]] static Result<std::shared_ptr<const KernelModule>> load(std::span<const char> image);
  ~KernelModule();
  KernelModule(const KernelModule&) = delete;
  KernelModule& operator=(const KernelModule&) = delete;

  [[nodiscard]] Result<KernelFunction> function(const std::string& name) const;
  // `arguments`: a pointer to the value of each parameter; they are copied before the call returns. A thread without a
  // context gets the module's.
  [[nodiscard]] Status launch(KernelFunction function, const LaunchShape& shape, void** arguments, void* cuda_stream) const;

 private:
  KernelModule() = default;

  std::shared_ptr<const CudaDriver> driver_;
  CUctx_st* context_ = nullptr;
  CUmod_st* module_ = nullptr;
};

// The kernels of lane/gpu/kernels for the card of the current context: compiled by NVRTC (about a second), and loaded.
// kUnavailable where there is no driver, no context or no NVRTC. See KernelSupply.
[[nodiscard]] Result<std::shared_ptr<const KernelModule>> load_own_kernels();

}  // namespace kiln::lane
