// A compiled graph, opened from a sealed memory file whose signature and hash the caller has verified.
// LibTorch checks nothing about inputs, so every call is checked here against the artifact's manifest.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "lane/engine/network.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

class CompiledArtifact {
 public:
  // Opening runs code of the library. Refused: a descriptor that is not sealed, an ISA level that this
  // CPU lacks, a process with two LibTorch in it, an input or output count other than the manifest's.
  [[nodiscard]] static Result<std::unique_ptr<CompiledArtifact>> open(const ArtifactSpec& spec,
                                                                      int sealed_fd);
  ~CompiledArtifact();
  CompiledArtifact(const CompiledArtifact&) = delete;
  CompiledArtifact& operator=(const CompiledArtifact&) = delete;

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
