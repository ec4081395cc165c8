#include "lane/media/mkv_codec_delay.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>

#include "base/process.h"
#include "base/text.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::hours kTrialDeadline{1};  // a track may begin late
constexpr double kRoundingS = 0.0015;            // Matroska's tick is 1 ms

Result<std::string> run_tool(std::vector<std::string> argv) {
  SpawnOptions options;
  options.argv = std::move(argv);
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(CommandOutput done, run_command(std::move(options), kTrialDeadline));
  if (done.status.ok()) return std::move(done.out);
  return fail(ffmpeg_error(done.status, done.err, "trying how Opus is written", ExitCode::kFailed));
}

std::vector<double> times_of(const std::string& listing, std::size_t stream) {
  std::vector<double> times;
  for (const auto line : split(listing, '\n')) {
    const auto fields = split(trim(line), ',');
    if (fields.size() < 2 || fields[0] != std::to_string(stream)) continue;
    times.push_back(std::strtod(std::string(fields[1]).c_str(), nullptr));
  }
  return times;
}

}  // namespace

std::vector<std::string> arguments_after_trial(const std::string& listing, const std::vector<OpusTrack>& tracks) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < tracks.size(); ++i) {
    const std::vector<double> times = times_of(listing, i);
    if (times.size() < 2 || times[1] <= times[0] || std::abs(times[0]) < kRoundingS) continue;
    // What a tick of the trial is in seconds differs between versions too.
    const double tick_s = (times[1] - times[0]) / kTrialTicks;
    out.push_back(fmt::format("-bsf:a:{}", tracks[i].audio_index));
    out.push_back(fmt::format("setts=ts=TS{:+}", std::llround(-times[0] / tick_s)));
  }
  return out;
}

Result<std::vector<std::string>> codec_delay_arguments(const MediaTools& tools, const ClipInfo& clip,
                                                       const std::vector<OpusTrack>& tracks,
                                                       const std::string& output) {
  if (tracks.empty()) return std::vector<std::string>();
  std::vector<std::string> argv{tools.ffmpeg_path, "-nostdin", "-hide_banner", "-v", "error", "-y"};
  const auto input = input_arguments(clip.source);
  argv.insert(argv.end(), input.begin(), input.end());
  for (const OpusTrack& track : tracks) argv.insert(argv.end(), {"-map", fmt::format("0:{}", track.source_index)});
  argv.insert(argv.end(), {"-c", "copy", "-bsf:a", fmt::format("setts=ts=N*{}", kTrialTicks), "-frames:a", "2",
                           "-avoid_negative_ts", "disabled", "-f", "matroska", "file:" + output});
  KILN_TRY(run_tool(std::move(argv)));
  KILN_TRY_ASSIGN(const std::string listing,
                  run_tool({tools.ffprobe_path, "-v", "error", "-show_entries", "packet=stream_index,pts_time", "-of",
                            "csv=p=0", "-i", "file:" + output}));
  return arguments_after_trial(listing, tracks);
}

}  // namespace kiln::lane
