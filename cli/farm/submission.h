// A draft becomes a job: package and sources go to the store, then the job to the coordinator.
#pragma once

#include <functional>
#include <string>

#include "cli/farm/farm_link.h"
#include "cli/farm/job_file.h"

namespace kiln::cli {

// Told of each file before it is sent.
using UploadProgress = std::function<void(const std::string& path)>;

// Image sequences and what is marked in_place stay where they are: every worker must see that path.
[[nodiscard]] Status submit_job(FarmLink& link, JobDraft draft, const UploadProgress& progress);

}  // namespace kiln::cli
