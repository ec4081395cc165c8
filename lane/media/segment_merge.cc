#include "lane/media/segment_merge.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "lane/media/join_timeline.h"

namespace kiln::lane {

Result<std::uint64_t> merge_segments(const ClipInfo& clip, const EncoderSettings& settings,
                                     const std::vector<SegmentFile>& pieces, const std::string& output) {
  KILN_TRY_ASSIGN(const Timeline timeline, make_part_timeline(clip, settings, pieces));
  KILN_TRY_ASSIGN(const auto head, mov_head(timeline.track, {settings.request.width, settings.request.height, {}},
                                            timeline.last_duration));
  UniqueFd fd(::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd.valid()) return fail(errno_error(errno, "cannot write segment " + output));
  const auto write = [&](std::span<const std::byte> bytes) -> Status {
    if (auto written = write_fully(fd.get(), bytes); !written) return fail(written.error().with_context(output));
    return {};
  };
  KILN_TRY(write(head));
  KILN_TRY(for_each_sample(timeline, pieces, [&](std::size_t, std::span<const std::byte> bytes) { return write(bytes); }));
  // Whoever keeps the segment waits for the disk; it may begin by now.
  (void)::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  return static_cast<std::uint64_t>(::lseek(fd.get(), 0, SEEK_END));
}

}  // namespace kiln::lane
