// The JSON of a job's plan and segment records.
#pragma once

#include <string>
#include <string_view>

#include "cli/upscale/job_folder.h"

namespace kiln::cli {

[[nodiscard]] std::string encode_plan(const JobPlan& plan);
[[nodiscard]] Result<JobPlan> decode_plan(std::string_view text);
[[nodiscard]] std::string encode_record(const SegmentRecord& record);
[[nodiscard]] Result<SegmentRecord> decode_record(std::string_view text);

}  // namespace kiln::cli
