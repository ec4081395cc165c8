// The [[shot]] tables of a job file: clips that are generated from words.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "cli/farm/job_file.h"
#include "cli/farm/job_table.h"

namespace kiln::cli {

// Of a shot; in the job's own table they are the defaults of all shots.
inline constexpr std::array<std::string_view, 9> kShotSettingKeys{"negative_prompt", "size",  "frames", "steps", "cfg", "cfg_low_noise",
                                                                  "shift",           "solver", "seed"};

// What a shot is that says nothing. Shift and solver are the model's.
[[nodiscard]] net::Shot usual_shot();
// "832x480".
[[nodiscard]] Result<std::pair<int, int>> parse_frame_size(std::string_view text);

void read_shot_settings(JobTable& reader, net::Shot& out);
// All of them, and with what the job's table says for each.
[[nodiscard]] Status read_shots(JobTable& job, JobDraft& draft, const net::OutputSettings& defaults, const std::string& origin);

}  // namespace kiln::cli
