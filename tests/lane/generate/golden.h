// What diffusers makes of the same numbers, by a script; made once for all tests of one build folder.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/sealed_file.h"
#include "lane/core/flow_schedule.h"
#include "lane/engine/safetensors.h"

namespace at {
class Tensor;
}

namespace kiln::lane {

inline constexpr double kTolerance = 1e-6;  // of the largest number expected

struct Golden {
  std::string folder;  // that the script made
  nlohmann::json cases;
  Mapping file;
  StoredTensors tensors;

  // Along the first dimension: one for each step, or call.
  [[nodiscard]] at::Tensor tensor(const nlohmann::json& one, const std::string& name) const;
};

// Made by `script`, and anew where it or another .py file of `folders` has changed; paths from the repository's root. Fails
// the test, and is empty, where it cannot be made.
[[nodiscard]] Golden load_golden(const std::string& name, const std::string& script, const std::vector<std::string>& folders);

// Of the schedules, samplers and first noises, by make_golden.py.
[[nodiscard]] const Golden& golden();

[[nodiscard]] FlowSettings settings_of(const nlohmann::json& one);

// Largest difference by largest number expected; infinite where sizes differ or a number is none.
[[nodiscard]] double relative_error(const at::Tensor& found, const at::Tensor& expected);

}  // namespace kiln::lane
