// Rank 0 once MPI is gone: coordinator and store as its children, a worker where one is due, and the job's client.
#pragma once

#include "cli/mpi/rank_command.h"

namespace kiln::cli {

// Returns the job's exit code, when all workers have left and its children have ended. By a signal: 128 and the signal.
[[nodiscard]] Result<int> run_lead_rank(const Launch& launch, const MpiFlags& flags, const GlobalOptions& global,
                                        const std::vector<RankRole>& roles);

}  // namespace kiln::cli
