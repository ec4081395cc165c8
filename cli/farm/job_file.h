// Job files: what a user writes down of a job, in TOML. docs/job-files.md has every key.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <toml++/impl/forward_declarations.h>
#include <vector>

#include "base/result.h"
#include "net/farm_requests.h"

namespace kiln::cli {

inline constexpr std::size_t kJobClipsMax = 10'000;
inline constexpr std::size_t kJobFileBytesMax = 16U << 20U;

// A job before anything was sent: paths instead of blobs.
struct JobDraft {
  net::JobRequest request;  // without package, manifest and the sources' blobs
  std::string model;        // folder of the package
  bool in_place = false;    // sources are read where they are, by every worker
};

// Relative paths are taken from `folder`, which holds the file. Errors (exit code 78) name `origin`, the line and, for
// an unknown key, the nearest one.
[[nodiscard]] Result<JobDraft> parse_job_file(std::string_view text, const std::string& origin,
                                              const std::string& folder);
[[nodiscard]] Result<JobDraft> read_job_file(const std::string& path);

// ---- for the parts of the reader ----
class JobTable;
void read_output_settings(JobTable& reader, net::OutputSettings& out);
// `names`: of the outputs before it.
void read_output_name(JobTable& reader, const toml::table& table, net::OutputSettings& out, std::set<std::string>& names);

// A name that no other job has: from the title, with random digits.
[[nodiscard]] net::JobName make_job_name(std::string_view title);

}  // namespace kiln::cli
