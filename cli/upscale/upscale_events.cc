// The part of UpscaleSession that reacts to lanes: results, failures, deaths, and what follows from them.
#include <algorithm>

#include "base/log.h"
#include "cli/upscale/upscale_session.h"

namespace kiln::cli {
namespace {

// A lane that dies before it renders anything is tried again this often: then something is wrong here.
constexpr std::uint64_t kEarlyLossesMax = 3;

// Trying again on another lane changes nothing about a full disk.
sharding::FailureClass failure_class(const net::Fault& fault) {
  const bool final = fault.failure == "bad_input" || fault.error.exit == ExitCode::kIo ||
                     fault.error.exit == ExitCode::kOutputUnwritable;
  return final ? sharding::FailureClass::kBadInput : sharding::FailureClass::kError;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
  return out;
}

SegmentRecord make_record(const net::SegmentDone& done, LaneId lane, std::int64_t segment) {
  SegmentRecord record;
  record.segment = segment;
  record.frames = done.frames;
  record.frames_compiled = done.frames_compiled;
  record.lane = lane.value;
  record.attempt = done.attempt.value;
  record.decode_s = done.decode_s;
  record.model_s = done.model_s;
  record.encode_s = done.encode_s;
  record.wall_s = done.wall_s;
  record.wait_decode_s = done.wait_decode_s;
  record.wait_encode_s = done.wait_encode_s;
  record.settings_digest = done.settings_digest;
  record.frame_hashes = to_hex(done.frame_hashes);
  return record;
}

void add(LaneReport& lane, const SegmentRecord& record) {
  lane.segments += 1;
  lane.frames += record.frames;
  lane.decode_s += record.decode_s;
  lane.model_s += record.model_s;
  lane.encode_s += record.encode_s;
  lane.wait_decode_s += record.wait_decode_s;
  lane.wait_encode_s += record.wait_encode_s;
}

SegmentId segment_of(TaskId task) { return SegmentId{static_cast<std::uint32_t>(task.value & kTaskIndexMask)}; }

}  // namespace

void UpscaleSession::on_lane_message(LaneId lane, const net::FromLane& message) {
  std::visit([&](const auto& body) { handle(lane, body); }, message);
}

void UpscaleSession::handle(LaneId lane, const net::PackageLoaded&) {
  loaded_[lane] = true;
  if (rendering_) apply(sharding::LaneUp{lane});
}

void UpscaleSession::handle(LaneId lane, const net::ArtifactRefused& message) {
  const Error& error = message.fault.error;
  if (options_.config.executor == "compiled") return fail_job(error);
  progress_.say(fmt::format("lane {} refused the artifact and stays uncompiled: {}", lane.value, error.message));
}

void UpscaleSession::handle(LaneId, const net::ProbeDone& message) {
  const auto index = static_cast<std::size_t>(message.task.value & kTaskIndexMask);
  if (index >= clips_.size()) return;
  clips_[index].probe = message;
  for (const std::string& warning : message.warnings) {
    if (!options_.json) progress_.say(clips_[index].source + ": " + warning);
  }
}

void UpscaleSession::handle(LaneId lane, const net::Progress& message) {
  if (report_.first_frame_s == 0.0) report_.first_frame_s = elapsed_s();
  running_[lane] = message;
}

void UpscaleSession::handle(LaneId lane, const net::SegmentDone& message) {
  const auto [clip, segment] = find_segment(segment_of(message.task));
  running_.erase(lane);
  if (clip == nullptr) return;
  // The file is made durable before the state says that the segment is done, and only for the try that
  // the state still waits for.
  const auto& assigned = assignment_.segments.at(segment_of(message.task).value);
  const bool current = assigned.state == sharding::SegmentState::kRunning &&
                       assigned.attempt == message.attempt && assigned.lane == lane;
  if (current) {
    SegmentRecord record = make_record(message, lane, segment->id.value);
    const std::string part = clip->folder->part_path(segment->id.value, message.attempt.value);
    if (auto status = clip->folder->finish_segment(record, part); !status) return fail_job(status.error());
    add(report_.lanes[lane], record);
    clip->records[segment->id.value] = std::move(record);
  }
  apply(sharding::SegmentDone{lane, segment_of(message.task), message.attempt});
}

void UpscaleSession::handle(LaneId lane, const net::JoinDone& message) {
  ClipJob& clip = clips_.at(message.task.value & kTaskIndexMask);
  joins_.erase(message.task);
  if (message.frames != clip.probe->frames) {
    return fail_job(make_error(ErrorCode::kInternal, "{}: {} frames were joined, {} are due", clip.source,
                               message.frames, clip.probe->frames));
  }
  add_clip_report(clip, message.warnings);
  if (auto status = finish_clip_job(*host_.files, clip, report_.clips.back()); !status) return fail_job(status.error());
  log::debug("{}: joined by lane {}", clip.place->output(), lane.value);
  clip.joined = true;
}

void UpscaleSession::handle(LaneId lane, const net::LaneTaskFailed& message) {
  const std::uint64_t kind = message.task.value & ~kTaskIndexMask;
  if (kind == kProbeTasks || kind == kJoinTasks) {
    joins_.erase(message.task);
    return fail_job(message.fault.error);
  }
  running_.erase(lane);
  if (message.fault.error.code == ErrorCode::kCancelled) return;
  const auto [clip, segment] = find_segment(segment_of(message.task));
  if (clip == nullptr) return;
  last_error_ = message.fault.error;
  if (!last_error_->message.starts_with(clip->source)) {
    last_error_ = last_error_->with_context(
        fmt::format("{}, frames {} to {}", clip->source, segment->first, segment->last - 1));
  }
  apply(sharding::SegmentFailed{lane, segment_of(message.task), message.attempt, failure_class(message.fault),
                                message.fault.error.message});
}

// A lane that cannot be set up says why; another would say the same.
void UpscaleSession::handle(LaneId, const net::Failed& message) { fail_job(message.fault.error); }

void UpscaleSession::on_lane_lost(LaneId lane, const std::string& why) {
  ++report_.lanes_lost;
  loaded_.erase(lane);
  running_.erase(lane);
  std::erase_if(joins_, [&](const auto& join) { return join.second == lane; });
  if (rendering_ && !assignment_.ended) {
    progress_.say(fmt::format("lane {} is lost: {}", lane.value, why));
    last_error_.reset();
    return apply(sharding::LaneLost{lane, why});
  }
  if (rendered_) return;
  if (report_.lanes_lost > kEarlyLossesMax) {
    return fail_job(make_error(ErrorCode::kInternal, "lane {} ends as soon as it starts: {}", lane.value, why));
  }
  if (auto status = lanes_->start(lane); !status) return fail_job(status.error());
  if (!rendering_) send_probes();
}

void UpscaleSession::apply(const sharding::AssignmentEvent& event) { carry_out(sharding::step(assignment_, event)); }

void UpscaleSession::carry_out(const std::vector<sharding::AssignmentEffect>& effects) {
  for (const auto& effect : effects) {
    if (const auto* assigned = std::get_if<sharding::AssignSegment>(&effect)) {
      assign(*assigned);
    } else if (const auto* restart = std::get_if<sharding::RestartLane>(&effect)) {
      log::debug("{}", restart->reason);
      if (auto status = lanes_->start(restart->lane); !status) fail_job(status.error());
    } else if (const auto* retire = std::get_if<sharding::RetireLane>(&effect)) {
      const bool last = std::any_of(effects.begin(), effects.end(), [](const auto& other) {
        return std::holds_alternative<sharding::JobFailed>(other);
      });
      if (!last) progress_.say("set aside: " + retire->reason);  // else the error says it
      loaded_.erase(retire->lane);
      lanes_->stop(retire->lane);
    } else if (const auto* failed = std::get_if<sharding::JobFailed>(&effect)) {
      fail_job(last_error_ ? *last_error_ : make_error(ErrorCode::kInternal, "{}", failed->reason));
    }
  }
}

void UpscaleSession::assign(const sharding::AssignSegment& effect) {
  const auto [clip, segment] = find_segment(effect.segment);
  const TaskId task{effect.segment.value};
  log::debug("segment {} to lane {}: {}", effect.segment.value, effect.lane.value, effect.reason);
  running_[effect.lane] = net::Progress{task, effect.attempt, 0, 0, 0};
  // A lane that cannot be written to is dying; its end brings the segment back.
  (void)lanes_->send(effect.lane, segment_task(*clip, options_, *segment, task, effect.attempt));
}

void UpscaleSession::join_finished_clips() {
  for (ClipJob& clip : clips_) {
    const TaskId task{kJoinTasks | clip.id.value};
    if (clip.joined || joins_.contains(task) || !clip.all_segments_done()) continue;
    const auto ready = std::find_if(loaded_.begin(), loaded_.end(), [](const auto& lane) { return lane.second; });
    if (ready == loaded_.end()) continue;
    joins_[task] = ready->first;
    (void)lanes_->send(ready->first, join_task(clip, options_, task));
  }
}

void UpscaleSession::add_clip_report(const ClipJob& clip, const std::vector<std::string>& warnings) {
  ClipReport out;
  out.source = clip.source;
  out.output = clip.place->output();
  out.width = clip.probe->output_width;
  out.height = clip.probe->output_height;
  out.frames = clip.probe->frames;
  out.duration_s = clip.probe->duration_s;
  out.segments = static_cast<std::int64_t>(clip.records.size());
  out.segments_resumed = clip.resumed_segments;
  out.tiles = static_cast<std::int64_t>(clip.tiles.windows.size());
  out.tile_width = clip.tiles.shape.width;
  out.tile_height = clip.tiles.shape.height;
  out.artifact_key = clip.artifact_key ? clip.artifact_key->hex() : "";
  out.warnings = warnings;
  constexpr std::size_t kDigitsPerFrame = 32;
  for (const auto& record : clip.records) {
    out.frames_compiled += record->frames_compiled;
    for (std::size_t at = 0; at + kDigitsPerFrame <= record->frame_hashes.size(); at += kDigitsPerFrame) {
      out.frame_hashes.push_back(record->frame_hashes.substr(at, kDigitsPerFrame));
    }
  }
  report_.clips.push_back(std::move(out));
}

std::pair<ClipJob*, const sharding::Segment*> UpscaleSession::find_segment(SegmentId id) {
  for (ClipJob& clip : clips_) {
    const std::int64_t index = static_cast<std::int64_t>(id.value) - clip.first_segment;
    if (index < 0 || index >= static_cast<std::int64_t>(clip.segments.segments.size())) continue;
    return {&clip, &clip.segments.segments[static_cast<std::size_t>(index)]};
  }
  return {nullptr, nullptr};
}

}  // namespace kiln::cli
