#include "lane/media/join_verify.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/process.h"
#include "base/text.h"
#include "lane/media/clip_index.h"
#include "lane/media/ffmpeg_child.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::hours kVerifyDeadline{1};
constexpr std::uint64_t kMaxListBytes = 1ULL << 30U;

// The stream's line stands behind those of the packets.
std::optional<Rational> find_time_base(std::string_view text) {
  const auto at = text.rfind("time_base=");
  if (at == std::string_view::npos) return std::nullopt;
  const auto value = text.substr(at + 10);
  return parse_rational(value.substr(0, value.find_first_of("|\n")));
}

}  // namespace

Result<Rational> verify_times(const MediaTools& tools, const ClipInfo& clip, const std::string& output) {
  SpawnOptions options;
  options.argv = {tools.ffprobe_path,  "-v",  "error",       "-select_streams", "v:0",           "-show_entries",
                  "packet=pts,duration,flags:stream=time_base", "-of", "compact=p=0", "-i", "file:" + output};
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(const CommandOutput listing, run_command(std::move(options), kVerifyDeadline, kMaxListBytes));
  if (!listing.status.ok()) {
    return fail(ffmpeg_error(listing.status, listing.err, "checking " + output, ExitCode::kFailed));
  }
  const auto tick = find_time_base(listing.out);
  const std::vector<ClipFrame> frames = frames_from(parse_packets(listing.out), 1);
  if (!tick || static_cast<std::int64_t>(frames.size()) != clip.frame_count()) {
    return fail(make_error(ErrorCode::kInternal, "{} was joined with {} frames instead of {}", output, frames.size(),
                           clip.frame_count()));
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto wanted = rescale(clip.frames[i].pts - clip.time_origin, clip.time_base, *tick);
    if (wanted && std::llabs(frames[i].pts - *wanted) <= 1) continue;
    return fail(make_error(ErrorCode::kInternal, "{}: frame {} is at {} ticks of {} s instead of {}", output, i,
                           frames[i].pts, tick->text(), wanted.value_or(0)));
  }
  return *tick;
}

}  // namespace kiln::lane
