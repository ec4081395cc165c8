#include "cli/farm/job_status.h"

namespace kiln::cli {
namespace {

// The segments of one clip that are done, page by page.
Status add_segments(FarmLink& link, const net::JobName& job, std::uint32_t index, net::ClipStatus& clip) {
  for (;;) {
    net::GetJob ask{job};
    ask.detail = net::JobDetail::kSegments;
    ask.first_clip = index;
    ask.clips_max = 1;
    ask.from_frame = clip.segments.empty() ? 0 : clip.segments.back().last;
    ask.segments_max = kSegmentsPerPage;
    KILN_TRY_ASSIGN(net::JobStatus page, link.ask_for<net::JobStatus>(ask));
    if (page.clips.empty()) return {};
    auto& segments = page.clips[0].segments;
    const bool more = segments.size() >= kSegmentsPerPage;
    std::move(segments.begin(), segments.end(), std::back_inserter(clip.segments));
    if (!more) return {};
  }
}

// From segment `at` on, as many as a page holds; returns the first that it did not hold.
Result<std::size_t> add_hashes(FarmLink& link, const net::JobName& job, std::uint32_t index, net::ClipStatus& clip,
                               std::size_t at) {
  net::GetJob ask{job};
  ask.detail = net::JobDetail::kFrames;
  ask.first_clip = index;
  ask.clips_max = 1;
  ask.from_frame = clip.segments[at].first;
  std::int64_t frames = 0;
  std::size_t end = at;
  while (end < clip.segments.size() && (end == at || frames + clip.segments[end].last - clip.segments[end].first <= kHashesPerPage)) {
    frames += clip.segments[end].last - clip.segments[end].first;
    ++end;
  }
  ask.segments_max = static_cast<std::uint32_t>(end - at);
  KILN_TRY_ASSIGN(net::JobStatus page, link.ask_for<net::JobStatus>(ask));
  if (page.clips.empty() || page.clips[0].segments.size() != end - at) {
    return fail(make_error(ErrorCode::kInternal, "{}: its segments changed while they were asked for", job));
  }
  for (net::SegmentResult& segment : page.clips[0].segments) clip.segments[at++].frame_hashes = std::move(segment.frame_hashes);
  return at;
}

}  // namespace

Result<net::ClipStatus> ask_clip_status(FarmLink& link, const net::JobName& job, std::uint32_t index) {
  net::GetJob ask{job};
  ask.detail = net::JobDetail::kClips;
  ask.first_clip = index;
  ask.clips_max = 1;
  KILN_TRY_ASSIGN(net::JobStatus status, link.ask_for<net::JobStatus>(ask));
  if (status.clips.empty()) return fail(make_error(ErrorCode::kNotFound, "{}: it has no clip {}", job, index));
  net::ClipStatus clip = std::move(status.clips[0]);
  KILN_TRY(add_segments(link, job, index, clip));
  for (std::size_t at = 0; at < clip.segments.size();) {
    KILN_TRY_ASSIGN(at, add_hashes(link, job, index, clip, at));
  }
  return clip;
}

Result<net::JobStatus> ask_job_status(FarmLink& link, const net::JobName& job, net::JobDetail detail) {
  net::GetJob ask{job};
  ask.detail = net::JobDetail::kClips;
  ask.clips_max = kClipsPerPage;
  KILN_TRY_ASSIGN(net::JobStatus status, link.ask_for<net::JobStatus>(ask));
  while (status.clips.size() < status.clips_total) {
    ask.first_clip = static_cast<std::uint32_t>(status.clips.size());
    KILN_TRY_ASSIGN(net::JobStatus page, link.ask_for<net::JobStatus>(ask));
    if (page.clips.empty()) break;
    std::move(page.clips.begin(), page.clips.end(), std::back_inserter(status.clips));
  }
  if (detail == net::JobDetail::kClips) return status;
  for (std::uint32_t i = 0; i < status.clips.size(); ++i) {
    if (status.clips[i].segments_done > 0) KILN_TRY(add_segments(link, job, i, status.clips[i]));
  }
  return status;
}

}  // namespace kiln::cli
