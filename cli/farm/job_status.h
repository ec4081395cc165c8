// A job's status, however large it is.
#pragma once

#include "cli/farm/farm_link.h"

namespace kiln::cli {

inline constexpr std::uint32_t kClipsPerPage = 500;
inline constexpr std::uint32_t kSegmentsPerPage = 10'000;  // without hashes some 3 MB; a message holds 8 MiB

inline constexpr std::int64_t kHashesPerPage = 250'000;      // 4 MB

// All clips, and with kSegments all segments that are done, asked for in pages. Hashes of frames are not among them.
[[nodiscard]] Result<net::JobStatus> ask_job_status(FarmLink& link, const net::JobName& job, net::JobDetail detail);
// One clip with its segments and the hashes of their frames, likewise.
[[nodiscard]] Result<net::ClipStatus> ask_clip_status(FarmLink& link, const net::JobName& job, std::uint32_t index);

}  // namespace kiln::cli
