// One checkpoint of a part of a text-to-video model, such as one of two experts: its tensors, repetition by repetition.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lane/engine/generator_package.h"
#include "lane/engine/safetensors.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

// Its files are mapped while it lives, and nothing of them is in memory but what was asked for. Immutable; any thread.
class PartWeights {
 public:
  // `weights`: a name of the manifest's [[weights]]. `package` is borrowed and lives longer.
  [[nodiscard]] static Result<PartWeights> open(const GeneratorPackage& package, std::string_view weights);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const sharding::GeneratorManifest& manifest() const { return package_->manifest(); }
  // Copies on `device` ("cpu", "cuda:N"), in the order of the component's graphs: in `dtype`, but for those of high precision.
  // Numbers of eight bits are multiplied by their scale.
  [[nodiscard]] Result<std::vector<at::Tensor>> load(std::string_view component, std::int64_t index,
                                                     sharding::GraphDtype dtype, std::string_view device) const;

 private:
  using Place = std::pair<std::string_view, std::int64_t>;  // component, repetition
  struct File {
    Mapping mapping;
    StoredTensors tensors;
  };

  PartWeights(const GeneratorPackage& package, std::string_view name) : package_(&package), name_(name) {}
  [[nodiscard]] Status open_file(const std::string& file);
  [[nodiscard]] Result<const StoredTensor*> find(const std::string& file, const std::string& name) const;
  [[nodiscard]] Result<at::Tensor> load_tensor(const sharding::GeneratorTensor& row, const sharding::GeneratorParameter& parameter,
                                               sharding::GraphDtype dtype, std::string_view device) const;

  const GeneratorPackage* package_;
  std::string name_;
  std::map<std::string, File, std::less<>> files_;
  std::map<Place, std::map<std::string_view, const sharding::GeneratorTensor*>> rows_;  // by the parameter's name
};

}  // namespace kiln::lane
