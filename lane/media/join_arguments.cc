#include "lane/media/join_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

constexpr std::int64_t kMovieTimescaleMax = 1'000'000;

std::string seconds_text(std::int64_t ticks, Rational tick) {
  const std::int64_t micros = rescale(ticks, tick, {1, 1'000'000}).value_or(0);
  return fmt::format("{}{}.{:06}", micros < 0 ? "-" : "", std::abs(micros) / 1'000'000,
                     std::abs(micros) % 1'000'000);
}

std::vector<std::string> container_arguments(Container container, std::int64_t timescale, Codec codec, std::int64_t room) {
  if (container == Container::kMatroska) {
    // A sound track's encoder delay may start below zero; shifting everything for it would move the picture.
    return {"-avoid_negative_ts", "disabled", "-f", "matroska"};
  }
  // NUT has no times below zero: an encoder's run-in, which is not heard anyway, is left out.
  if (container == Container::kNut) {
    return {"-avoid_negative_ts", "disabled", "-bsf:a", "noise=amount=0:drop=lt(pts\\,0)", "-f", "nut"};
  }
  // The edit list, which says when each track begins, counts in ticks of the movie: fine ones.
  const std::int64_t movie = timescale * std::max<std::int64_t>(1, kMovieTimescaleMax / timescale);
  std::vector<std::string> out{"-video_track_timescale", std::to_string(timescale), "-movie_timescale",
                               std::to_string(movie)};
  // The table stands in front of the samples: in room that is left for it, or by moving all of them.
  if (room > 0) {
    out.insert(out.end(), {"-moov_size", std::to_string(room)});
  } else {
    out.insert(out.end(), {"-movflags", "+faststart"});
  }
  if (codec == Codec::kHevc) out.insert(out.end(), {"-tag:v:0", "hvc1"});  // what Apple's players take
  // FLAC, Opus and DTS in MP4 are well defined; ffmpeg 5.1 wants to be asked for them.
  if (container == Container::kMp4) out.insert(out.end(), {"-strict", "experimental"});
  out.insert(out.end(), {"-f", container == Container::kMp4 ? "mp4" : "mov"});
  return out;
}

// ffmpeg 5 takes an offset that is exactly the start of a broadcast file for a wish to begin at zero, and puts
// the first track that is mapped there. A microsecond is less than half a tick of such files.
std::string source_offset(const ClipInfo& clip) {
  const auto micros = rescale(-clip.time_origin, clip.time_base, {1, 1'000'000});
  return seconds_text(micros.value_or(0) + 1, {1, 1'000'000});
}

}  // namespace

std::vector<std::string> join_arguments(const ClipInfo& clip, const EncoderSettings& settings,
                                        const Timeline& timeline, const StreamPlan& streams,
                                        const MuxerWishes& muxer,
                                        const std::string& output) {
  const Rational tick{1, timeline.track.timescale};
  std::vector<std::string> out{"-nostdin", "-hide_banner", "-v", "error", "-y", "-copyts", "-itsoffset",
                               seconds_text(timeline.first_dts, tick), "-f", "mov", "-i", "pipe:0"};
  const auto add = [&](std::initializer_list<std::string> more) { out.insert(out.end(), more); };
  const bool file = clip.kind == SourceKind::kFile;
  if (file && clip.time_origin != 0) add({"-itsoffset", source_offset(clip)});
  if (file) {
    const auto input = input_arguments(clip.source);
    out.insert(out.end(), input.begin(), input.end());
  }
  add({"-map", "0:v:0", "-c:v:0", "copy"});
  out.insert(out.end(), streams.arguments.begin(), streams.arguments.end());
  if (file) {
    add({"-map_metadata", "1", "-map_metadata:s:0", fmt::format("1:s:{}", clip.stream_index), "-map_chapters",
         "1", "-c:t", "copy"});
  }
  add({"-max_muxing_queue_size", "65536"});
  const auto container = container_arguments(settings.request.container, timeline.track.timescale, settings.request.codec,
                                             muxer.table_room_bytes);
  out.insert(out.end(), container.begin(), container.end());
  out.insert(out.end(), muxer.options.begin(), muxer.options.end());
  add({"file:" + output});
  return out;
}

}  // namespace kiln::lane
