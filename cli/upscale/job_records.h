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

// A clip that is joined while others of its command are not, and the output as it was left.
struct FinishedClip {
  ClipReport report;
  std::uint64_t output_bytes = 0;
  std::int64_t output_changed = 0;  // of the file system's clock
};
[[nodiscard]] std::string encode_finished(const FinishedClip& clip);
[[nodiscard]] Result<FinishedClip> decode_finished(std::string_view text);

}  // namespace kiln::cli
