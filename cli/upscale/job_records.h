// The JSON of a job's plan and segment records.
#pragma once

#include <string>
#include <string_view>

#include "cli/upscale/job_folder.h"
#include "cli/upscale/upscale_report.h"

namespace kiln::cli {

[[nodiscard]] std::string encode_plan(const JobPlan& plan);
[[nodiscard]] Result<JobPlan> decode_plan(std::string_view text);
[[nodiscard]] std::string encode_record(const SegmentRecord& record);
[[nodiscard]] Result<SegmentRecord> decode_record(std::string_view text);

// A clip that is joined while its command is not done, and the output as it was left.
struct FinishedClip {
  ClipReport report;
  std::string output_state;  // see image_files.h
};
[[nodiscard]] std::string encode_finished(const FinishedClip& clip);
[[nodiscard]] Result<FinishedClip> decode_finished(std::string_view text);

}  // namespace kiln::cli
