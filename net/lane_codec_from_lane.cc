// Messages that a lane sends.
#include "net/lane.pb.h"
#include "net/lane_codec.h"

namespace kiln::net {
namespace {

void put(const Fault& in, pb::Fault& out) {
  out.set_code(std::string(to_string(in.error.code)));
  out.set_message(in.error.message);
  out.set_exit(static_cast<int>(in.error.exit));
  out.set_failure(in.failure);
}

Fault get(const pb::Fault& in) {
  Fault out;
  out.error = Error{error_code_from_string(in.code()), in.message(), static_cast<ExitCode>(in.exit())};
  out.failure = in.failure();
  return out;
}

void put(const TensorSpec& in, pb::TensorSpec& out) {
  out.set_dtype(in.dtype);
  for (const auto& item : in.sizes) out.add_sizes(item);
  for (const auto& item : in.strides) out.add_strides(item);
}

TensorSpec get(const pb::TensorSpec& in) {
  TensorSpec out;
  out.dtype = in.dtype();
  out.sizes.assign(in.sizes().begin(), in.sizes().end());
  out.strides.assign(in.strides().begin(), in.strides().end());
  return out;
}

void put(const Hello& in, pb::Hello& out) {
  out.set_protocol(in.protocol);
  out.set_pid(in.pid);
  out.set_isa(in.isa);
  out.set_torch(in.torch);
}

Hello get(const pb::Hello& in) {
  Hello out;
  out.protocol = in.protocol();
  out.pid = in.pid();
  out.isa = in.isa();
  out.torch = in.torch();
  return out;
}

void put(const PackageLoaded& in, pb::PackageLoaded& out) {
  for (const auto& item : in.inputs) put(item, *out.add_inputs());
  out.set_peak_activation_bytes(in.peak_activation_bytes);
  out.set_weights_bytes(in.weights_bytes);
  out.set_weights_copied_bytes(in.weights_copied_bytes);
  out.set_weights_received_bytes(in.weights_received_bytes);
  out.set_weights_s(in.weights_s);
}

PackageLoaded get(const pb::PackageLoaded& in) {
  PackageLoaded out;
  for (const auto& item : in.inputs()) out.inputs.push_back(get(item));
  out.peak_activation_bytes = in.peak_activation_bytes();
  out.weights_bytes = in.weights_bytes();
  out.weights_copied_bytes = in.weights_copied_bytes();
  out.weights_received_bytes = in.weights_received_bytes();
  out.weights_s = in.weights_s();
  return out;
}

void put(const ArtifactBound& in, pb::ArtifactBound& out) {
  out.set_key(in.key);
}

ArtifactBound get(const pb::ArtifactBound& in) {
  ArtifactBound out;
  out.key = in.key();
  return out;
}

void put(const ArtifactRefused& in, pb::ArtifactRefused& out) {
  out.set_key(in.key);
  put(in.fault, *out.mutable_fault());
}

ArtifactRefused get(const pb::ArtifactRefused& in) {
  ArtifactRefused out;
  out.key = in.key();
  out.fault = get(in.fault());
  return out;
}

void put(const ProbeDone& in, pb::ProbeDone& out) {
  out.set_task(in.task.value);
  out.set_clip(in.clip);
  out.set_frames(in.frames);
  out.set_width(in.width);
  out.set_height(in.height);
  out.set_frames_per_second(in.frames_per_second);
  out.set_duration_s(in.duration_s);
  out.set_pixel_format(in.pixel_format);
  out.set_output_pixel_format(in.output_pixel_format);
  out.set_output_width(in.output_width);
  out.set_output_height(in.output_height);
  for (const auto& item : in.warnings) out.add_warnings(item);
  out.set_ffmpeg_version(in.ffmpeg_version);
  out.set_planes_bytes(in.planes_bytes);
  out.set_output_planes_bytes(in.output_planes_bytes);
}

ProbeDone get(const pb::ProbeDone& in) {
  ProbeDone out;
  out.task.value = in.task();
  out.clip = in.clip();
  out.frames = in.frames();
  out.width = in.width();
  out.height = in.height();
  out.frames_per_second = in.frames_per_second();
  out.duration_s = in.duration_s();
  out.pixel_format = in.pixel_format();
  out.output_pixel_format = in.output_pixel_format();
  out.output_width = in.output_width();
  out.output_height = in.output_height();
  out.warnings.assign(in.warnings().begin(), in.warnings().end());
  out.ffmpeg_version = in.ffmpeg_version();
  out.planes_bytes = in.planes_bytes();
  out.output_planes_bytes = in.output_planes_bytes();
  return out;
}

void put(const Progress& in, pb::Progress& out) {
  out.set_task(in.task.value);
  out.set_attempt(in.attempt.value);
  out.set_frames_done(in.frames_done);
  out.set_frames_compiled(in.frames_compiled);
  out.set_resident_bytes(in.resident_bytes);
  if (in.stage.stage.empty()) return;
  out.mutable_stage()->set_stage(in.stage.stage);
  out.mutable_stage()->set_done(in.stage.done);
  out.mutable_stage()->set_total(in.stage.total);
  out.mutable_stage()->set_each_s(in.stage.each_s);
}

Progress get(const pb::Progress& in) {
  Progress out;
  out.task.value = in.task();
  out.attempt.value = in.attempt();
  out.frames_done = in.frames_done();
  out.frames_compiled = in.frames_compiled();
  out.resident_bytes = in.resident_bytes();
  out.stage = {in.stage().stage(), in.stage().done(), in.stage().total(), in.stage().each_s()};
  return out;
}

void put(const CardMemory& in, pb::CardMemory& out) {
  out.set_predicted_bytes(in.predicted_bytes);
  out.set_context_bytes(in.context_bytes);
  out.set_held_bytes(in.held_bytes);
  out.set_activation_bytes(in.activation_bytes);
  out.set_allocated_peak_bytes(in.allocated_peak_bytes);
  out.set_reserved_peak_bytes(in.reserved_peak_bytes);
  out.set_used_bytes(in.used_bytes);
}

CardMemory get(const pb::CardMemory& in) {
  return {in.predicted_bytes(),      in.context_bytes(),       in.held_bytes(), in.activation_bytes(),
          in.allocated_peak_bytes(), in.reserved_peak_bytes(), in.used_bytes()};
}

void put(const SegmentDone& in, pb::SegmentDone& out) {
  out.set_task(in.task.value);
  out.set_attempt(in.attempt.value);
  out.set_frames(in.frames);
  out.set_frames_compiled(in.frames_compiled);
  out.set_decode_s(in.decode_s);
  out.set_model_s(in.model_s);
  out.set_encode_s(in.encode_s);
  out.set_wall_s(in.wall_s);
  out.set_wait_decode_s(in.wait_decode_s);
  out.set_wait_encode_s(in.wait_encode_s);
  out.set_frame_hashes(in.frame_hashes);
  out.set_bytes_written(in.bytes_written);
  out.set_settings_digest(in.settings_digest);
  out.set_decode_core_s(in.decode_core_s);
  out.set_model_core_s(in.model_core_s);
  out.set_encode_core_s(in.encode_core_s);
  out.set_first_frame_s(in.first_frame_s);
  if (in.card != CardMemory()) put(in.card, *out.mutable_card());
}

SegmentDone get(const pb::SegmentDone& in) {
  SegmentDone out;
  out.task.value = in.task();
  out.attempt.value = in.attempt();
  out.frames = in.frames();
  out.frames_compiled = in.frames_compiled();
  out.decode_s = in.decode_s();
  out.model_s = in.model_s();
  out.encode_s = in.encode_s();
  out.wall_s = in.wall_s();
  out.wait_decode_s = in.wait_decode_s();
  out.wait_encode_s = in.wait_encode_s();
  out.frame_hashes = in.frame_hashes();
  out.bytes_written = in.bytes_written();
  out.settings_digest = in.settings_digest();
  out.decode_core_s = in.decode_core_s();
  out.model_core_s = in.model_core_s();
  out.encode_core_s = in.encode_core_s();
  out.first_frame_s = in.first_frame_s();
  out.card = get(in.card());
  return out;
}

void put(const JoinDone& in, pb::JoinDone& out) {
  out.set_task(in.task.value);
  out.set_frames(in.frames);
  for (const auto& item : in.warnings) out.add_warnings(item);
  out.set_sha256(in.sha256);
}

JoinDone get(const pb::JoinDone& in) {
  JoinDone out;
  out.task.value = in.task();
  out.frames = in.frames();
  out.warnings.assign(in.warnings().begin(), in.warnings().end());
  out.sha256 = in.sha256();
  return out;
}

void put(const LaneTaskFailed& in, pb::TaskFailed& out) {
  out.set_task(in.task.value);
  out.set_attempt(in.attempt.value);
  put(in.fault, *out.mutable_fault());
}

LaneTaskFailed get(const pb::TaskFailed& in) {
  LaneTaskFailed out;
  out.task.value = in.task();
  out.attempt.value = in.attempt();
  out.fault = get(in.fault());
  return out;
}

void put(const Failed& in, pb::Failed& out) {
  put(in.fault, *out.mutable_fault());
}

Failed get(const pb::Failed& in) {
  Failed out;
  out.fault = get(in.fault());
  return out;
}

void put(const KernelsWanted& in, pb::KernelsWanted& out) {
  out.set_arch(in.arch);
  out.set_source(in.source);
  for (const auto& item : in.options) out.add_options(item);
}

KernelsWanted get(const pb::KernelsWanted& in) {
  KernelsWanted out;
  out.arch = in.arch();
  out.source = in.source();
  out.options.assign(in.options().begin(), in.options().end());
  return out;
}

void put(const ShareOpened& in, pb::ShareOpened& out) {
  out.set_epoch(in.epoch);
  out.set_id(in.id);
}

ShareOpened get(const pb::ShareOpened& in) {
  ShareOpened out;
  out.epoch = in.epoch();
  out.id = in.id();
  return out;
}

void put(const ShareEnded& in, pb::ShareEnded& out) {
  out.set_epoch(in.epoch);
  out.set_why(in.why);
}

ShareEnded get(const pb::ShareEnded& in) {
  ShareEnded out;
  out.epoch = in.epoch();
  out.why = in.why();
  return out;
}

struct FromLanePut {
  pb::FromLane& out;
  void operator()(const Hello& in) const { put(in, *out.mutable_hello()); }
  void operator()(const PackageLoaded& in) const { put(in, *out.mutable_package_loaded()); }
  void operator()(const ArtifactBound& in) const { put(in, *out.mutable_artifact_bound()); }
  void operator()(const ArtifactRefused& in) const { put(in, *out.mutable_artifact_refused()); }
  void operator()(const ProbeDone& in) const { put(in, *out.mutable_probe_done()); }
  void operator()(const Progress& in) const { put(in, *out.mutable_progress()); }
  void operator()(const SegmentDone& in) const { put(in, *out.mutable_segment_done()); }
  void operator()(const JoinDone& in) const { put(in, *out.mutable_join_done()); }
  void operator()(const LaneTaskFailed& in) const { put(in, *out.mutable_task_failed()); }
  void operator()(const Failed& in) const { put(in, *out.mutable_failed()); }
  void operator()(const KernelsWanted& in) const { put(in, *out.mutable_kernels_wanted()); }
  void operator()(const ShareOpened& in) const { put(in, *out.mutable_share_opened()); }
  void operator()(const ShareEnded& in) const { put(in, *out.mutable_share_ended()); }
};

Result<FromLane> open(const pb::FromLane& in) {
  switch (in.body_case()) {
    case pb::FromLane::kHello:
      return get(in.hello());
    case pb::FromLane::kPackageLoaded:
      return get(in.package_loaded());
    case pb::FromLane::kArtifactBound:
      return get(in.artifact_bound());
    case pb::FromLane::kArtifactRefused:
      return get(in.artifact_refused());
    case pb::FromLane::kProbeDone:
      return get(in.probe_done());
    case pb::FromLane::kProgress:
      return get(in.progress());
    case pb::FromLane::kSegmentDone:
      return get(in.segment_done());
    case pb::FromLane::kJoinDone:
      return get(in.join_done());
    case pb::FromLane::kTaskFailed:
      return get(in.task_failed());
    case pb::FromLane::kFailed:
      return get(in.failed());
    case pb::FromLane::kKernelsWanted:
      return get(in.kernels_wanted());
    case pb::FromLane::kShareOpened:
      return get(in.share_opened());
    case pb::FromLane::kShareEnded:
      return get(in.share_ended());
    case pb::FromLane::BODY_NOT_SET:
      break;
  }
  return fail(make_error(ErrorCode::kDataLoss, "a message without a body"));
}

}  // namespace

std::string encode(const FromLane& message) {
  pb::FromLane out;
  std::visit(FromLanePut{out}, message);
  return out.SerializeAsString();
}

Result<FromLane> decode_from_lane(std::string_view bytes) {
  pb::FromLane in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(make_error(ErrorCode::kDataLoss, "{} bytes are no lane message", bytes.size()));
  }
  return open(in);
}

}  // namespace kiln::net
