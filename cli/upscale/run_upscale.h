// `kiln run upscale` from options to exit code.
#pragma once

#include "base/result.h"
#include "cli/upscale/upscale_options.h"

namespace kiln::cli {

[[nodiscard]] Result<int> run_upscale(const UpscaleOptions& options);

}  // namespace kiln::cli
