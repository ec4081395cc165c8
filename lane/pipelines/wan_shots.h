// Shots of a Wan model's package.
#pragma once

#include <memory>
#include <string>

#include "lane/engine/generator_package.h"
#include "lane/pipelines/shot_source.h"

namespace kiln::lane {

struct WanShotsOptions {
  sharding::GraphDtype dtype = sharding::GraphDtype::kFloat32;  // of text encoder and transformer
  std::string device = "cpu";                                   // "cpu" | "cuda:N"
  int threads = 1;                                              // of the CPU: other counts give other bits
};

// Opens manifest and tokenizer; weights are read by each shot.
[[nodiscard]] Result<std::unique_ptr<ShotSource>> open_wan_shots(OpenPackageFile files, WanShotsOptions options);

}  // namespace kiln::lane
