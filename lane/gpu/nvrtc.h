// CUDA source to code for one kind of card, by the compiler library that comes with torch's wheels. It needs no card, and
// no toolkit: opened at run time, and only when something is to be compiled.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

struct KernelSource {
  std::string name;
  std::string text;  // of all files: nothing is included
};
// lane/gpu/kernels, as it was when the program was built.
[[nodiscard]] const KernelSource& own_kernel_source();

// Options of every compile. Without fused multiply-add, results are those of the CPU's functions.
[[nodiscard]] const std::vector<std::string>& nvrtc_options();

// Threads may share one and compile at the same time. The library is never closed.
class Nvrtc {
 public:
  // `path` empty: libnvrtc.so.13 of the wheel beside the torch that this process has loaded, else what the dynamic linker
  // finds. kUnavailable where there is none.
  [[nodiscard]] static Result<std::shared_ptr<const Nvrtc>> open(const std::string& path = "");

  [[nodiscard]] std::string version() const { return version_; }  // "13.0"
  // A cubin for `arch` ("sm_90"). What the compiler says of a source that it does not take is in the error.
  [[nodiscard]] Result<std::string> compile(const KernelSource& source, const std::string& arch) const;

 private:
  Nvrtc() = default;
  struct Functions;
  std::shared_ptr<const Functions> functions_;
  std::string version_;
};

// own_kernel_source() for one kind of card. Takes about a second of one core.
[[nodiscard]] Result<std::string> compile_own_kernels(const std::string& arch);

}  // namespace kiln::lane
