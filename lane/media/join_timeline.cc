#include "lane/media/join_timeline.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/fd.h"
#include "base/sealed_file.h"
#include "lane/media/output_clock.h"
#include "lane/media/sample_entry.h"

namespace kiln::lane {
namespace {

Result<UniqueFd> open_segment(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, "segment " + path));
  return fd;
}

Status check_cover(const std::vector<SegmentFile>& segments, std::int64_t first, std::int64_t end) {
  std::int64_t next = first;
  for (const auto& segment : segments) {
    if (segment.first_frame != next || segment.frame_count <= 0) {
      return fail(make_error(ErrorCode::kInvalidArgument, "segment {} begins at frame {} instead of {}",
                             segment.path, segment.first_frame, next));
    }
    next += segment.frame_count;
  }
  if (next == end) return {};
  return fail(make_error(ErrorCode::kInvalidArgument, "{} segments hold {} of {} frames", segments.size(), next - first,
                         end - first));
}

// Appends a segment's samples. Which frame each is follows from their order of presentation; when it is
// shown is the index's to say.
Status append_segment(const ClipInfo& clip, const ColorDescription& color, const SegmentFile& segment,
                      std::size_t number, Timeline& timeline) {
  KILN_TRY_ASSIGN(const UniqueFd fd, open_segment(segment.path));
  auto read = read_mov_track(fd.get());
  if (!read) return fail(read.error().with_context(segment.path));
  MovTrack& part = *read;
  if (static_cast<std::int64_t>(part.samples.size()) != segment.frame_count) {
    return fail(make_error(ErrorCode::kDataLoss, "{} holds {} frames instead of {}", segment.path,
                           part.samples.size(), segment.frame_count));
  }
  KILN_TRY_ASSIGN(std::vector<std::byte> description,
                  normalised_description(part.sample_description, color));
  if (number == 0) timeline.track.sample_description = description;
  if (timeline.track.sample_description != description) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "{} was encoded with other settings than the segments before it; encode it again",
                           segment.path));
  }
  std::vector<std::int64_t> shown;
  for (const auto& sample : part.samples) shown.push_back(sample.pts);
  std::sort(shown.begin(), shown.end());
  if (!part.samples.empty() && !part.samples[0].sync) {
    return fail(make_error(ErrorCode::kDataLoss, "{} does not begin with a key frame", segment.path));
  }
  for (auto sample : part.samples) {
    const auto rank = std::lower_bound(shown.begin(), shown.end(), sample.pts) - shown.begin();
    const std::int64_t frame = segment.first_frame + rank;
    const std::int64_t ticks = clip.frames[static_cast<std::size_t>(frame)].pts - clip.time_origin;
    const auto pts = rescale(ticks, clip.time_base, {1, timeline.track.timescale});
    if (!pts) return fail(make_error(ErrorCode::kOutOfRange, "frame {} is too late to be written", frame));
    sample.pts = *pts;
    timeline.track.samples.push_back(sample);
    timeline.frames.push_back(frame);
    timeline.segment_of.push_back(number);
  }
  return {};
}

}  // namespace

Result<Timeline> make_timeline(const ClipInfo& clip, const EncoderSettings& settings,
                               const std::vector<SegmentFile>& segments) {
  KILN_TRY(check_cover(segments, 0, clip.frame_count()));
  return make_part_timeline(clip, settings, segments);
}

Result<Timeline> make_part_timeline(const ClipInfo& clip, const EncoderSettings& settings,
                                    const std::vector<SegmentFile>& segments) {
  if (segments.empty()) return fail(make_error(ErrorCode::kInvalidArgument, "no segments"));
  const SegmentFile& last = segments.back();
  const std::int64_t end = last.first_frame + last.frame_count;
  if (segments.front().first_frame < 0 || end > clip.frame_count()) {
    return fail(make_error(ErrorCode::kInvalidArgument, "segments of frames {} to {} in a clip of {}",
                           segments.front().first_frame, end, clip.frame_count()));
  }
  KILN_TRY(check_cover(segments, segments.front().first_frame, end));
  Timeline timeline;
  timeline.track.timescale = static_cast<std::uint32_t>(output_timescale(clip.time_base));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    KILN_TRY(append_segment(clip, settings.request.color, segments[i], i, timeline));
  }
  std::vector<std::int64_t> pts;
  for (const auto& sample : timeline.track.samples) pts.push_back(sample.pts);
  const std::vector<std::int64_t> dts = decode_times(pts, settings.request.container == Container::kNut);
  timeline.first_dts = dts.front();
  for (std::size_t i = 0; i < dts.size(); ++i) {
    timeline.track.samples[i].dts = dts[i] - timeline.first_dts;
    timeline.track.samples[i].pts -= timeline.first_dts;
  }
  timeline.last_duration = rescale(clip.frames[static_cast<std::size_t>(end - 1)].duration, clip.time_base, {1, timeline.track.timescale})
                               .value_or(1);
  return timeline;
}

Status for_each_sample(const Timeline& timeline, const std::vector<SegmentFile>& segments,
                       const std::function<Status(std::size_t, std::span<const std::byte>)>& take) {
  Mapping segment;
  for (std::size_t i = 0; i < timeline.track.samples.size(); ++i) {
    const std::size_t number = timeline.segment_of[i];
    if (i == 0 || number != timeline.segment_of[i - 1]) {
      KILN_TRY_ASSIGN(const UniqueFd fd, open_segment(segments[number].path));
      KILN_TRY_ASSIGN(segment, Mapping::map(fd.get()));
    }
    const MovSample& sample = timeline.track.samples[i];
    const std::uint64_t held = segment.bytes().size();
    if (sample.offset > held || sample.size > held - sample.offset) {
      return fail(make_error(ErrorCode::kDataLoss, "{} became shorter while it was read", segments[number].path));
    }
    const auto bytes = segment.bytes().subspan(static_cast<std::size_t>(sample.offset), sample.size);
    KILN_TRY(take(i, bytes));
  }
  return {};
}

}  // namespace kiln::lane
