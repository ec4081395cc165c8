// A compiled graph, opened from a sealed memory file whose signature and hash the caller has verified.
// LibTorch checks nothing about inputs, so every call is checked here against the artifact's manifest.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "base/result.h"
#include "lane/engine/network.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

// What a library meets where it is opened. Given by hand only where another machine is tried out.
struct ArtifactHost {
  CpuidWords cpuid;
  std::string maps;  // text of /proc/self/maps
};
[[nodiscard]] Result<ArtifactHost> this_host();

class CompiledArtifact {
 public:
  // Opening runs code of the library. Refused: a descriptor that is not sealed, an ISA level that the
  // host's CPU lacks, a process with two LibTorch in it, a library that holds constants of its own.
  [[nodiscard]] static Result<std::unique_ptr<CompiledArtifact>> open(const ArtifactSpec& spec, int sealed_fd,
                                                                      const ArtifactHost& host);
  ~CompiledArtifact();
  CompiledArtifact(const CompiledArtifact&) = delete;
  CompiledArtifact& operator=(const CompiledArtifact&) = delete;

  // Every input is compared with the manifest first, shape and dtype of every result afterwards.
  [[nodiscard]] Result<std::vector<at::Tensor>> run(const std::vector<at::Tensor>& inputs);
  [[nodiscard]] const ArtifactSpec& spec() const { return spec_; }

 private:
  struct State;
  CompiledArtifact(ArtifactSpec spec, std::unique_ptr<State> state);
  ArtifactSpec spec_;
  std::unique_ptr<State> state_;
};

// How many files called libtorch_cpu.so a process has mapped, from the text of its /proc/PID/maps.
[[nodiscard]] int count_mapped_libtorch(std::string_view maps);

}  // namespace kiln::lane
