// The rules of coordinator and worker, as the configuration says.
#pragma once

#include "cli/config.h"
#include "coordinator/core/farm_rules.h"
#include "worker/core/worker_rules.h"

namespace kiln::cli {

[[nodiscard]] coordinator::FarmRules farm_rules(const FarmSettings& settings);
[[nodiscard]] worker::WorkerRules worker_rules(const Config& config);

}  // namespace kiln::cli
