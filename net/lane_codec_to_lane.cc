// Messages that a worker sends.
#include "net/lane.pb.h"
#include "net/lane_codec.h"
#include "net/shot_codec.h"

namespace kiln::net {
namespace {

void put(const SetUp& in, pb::SetUp& out) {
  out.set_lane(in.lane.value);
  out.set_threads(in.threads);
  out.set_device(in.device);
  out.set_ffmpeg(in.ffmpeg);
  out.set_answers_folder(in.answers_folder);
  out.set_encoder_threads(in.encoder_threads);
  out.set_trusted_keys(in.trusted_keys);
  out.set_encoders(in.encoders);
  out.set_ring_bytes(in.ring_bytes);
  out.set_context_bytes(in.context_bytes);
}

SetUp get(const pb::SetUp& in) {
  SetUp out;
  out.lane.value = in.lane();
  out.threads = in.threads();
  out.device = in.device();
  out.ffmpeg = in.ffmpeg();
  out.answers_folder = in.answers_folder();
  out.encoder_threads = in.encoder_threads();
  out.trusted_keys = in.trusted_keys();
  out.encoders = in.encoders();
  out.ring_bytes = in.ring_bytes();
  out.context_bytes = in.context_bytes();
  return out;
}

void put(const LoadPackage& in, pb::LoadPackage& out) {
  out.set_manifest(in.manifest);
  out.set_dtype(in.dtype);
  for (const auto& item : in.graphs) out.add_graphs(item);
  out.set_tile_frames(in.tile_frames);
  out.set_tile_height(in.tile_height);
  out.set_tile_width(in.tile_width);
  out.set_share(in.share);
}

LoadPackage get(const pb::LoadPackage& in) {
  LoadPackage out;
  out.manifest = in.manifest();
  out.dtype = in.dtype();
  out.graphs.assign(in.graphs().begin(), in.graphs().end());
  out.tile_frames = in.tile_frames();
  out.tile_height = in.tile_height();
  out.tile_width = in.tile_width();
  out.share = in.share();
  return out;
}

void put(const DefineClip& in, pb::DefineClip& out) {
  out.set_clip(in.clip.value);
  out.set_location(in.location);
}

DefineClip get(const pb::DefineClip& in) {
  DefineClip out;
  out.clip.value = in.clip();
  out.location = in.location();
  return out;
}

void put(const OfferArtifact& in, pb::OfferArtifact& out) {
  out.set_key(in.key);
  out.set_envelope(in.envelope);
  out.set_trusted_keys(in.trusted_keys);
}

OfferArtifact get(const pb::OfferArtifact& in) {
  OfferArtifact out;
  out.key = in.key();
  out.envelope = in.envelope();
  out.trusted_keys = in.trusted_keys();
  return out;
}

Shot get(const pb::Shot& in) {
  return {in.prompt(), in.negative_prompt(),    in.width(), in.height(), in.frames(), in.steps(),
          in.guidance(), in.low_noise_guidance(), in.shift(), in.solver(), in.seed()};
}

void put(const LoadGenerator& in, pb::LoadGenerator& out) {
  out.set_manifest(in.manifest);
  out.set_dtype(in.dtype);
  for (const auto& item : in.files) out.add_files(item);
}

LoadGenerator get(const pb::LoadGenerator& in) {
  return {in.manifest(), in.dtype(), {in.files().begin(), in.files().end()}};
}

void put(const ProbeTask& in, pb::ProbeTask& out) {
  out.set_task(in.task.value);
  out.set_source(in.source);
  out.set_location(in.location);
  out.set_output(in.output);
  out.set_codec(in.codec);
  out.set_scale(in.scale);
  out.set_network_scale(in.network_scale);
  out.set_deinterlace(in.deinterlace);
  out.set_frame_rate(in.frame_rate);
  out.set_pixel_format(in.pixel_format);
  if (in.shot.frames > 0) put_shot(in.shot, *out.mutable_shot());
}

ProbeTask get(const pb::ProbeTask& in) {
  ProbeTask out;
  out.task.value = in.task();
  out.source = in.source();
  out.location = in.location();
  out.output = in.output();
  out.codec = in.codec();
  out.scale = in.scale();
  out.network_scale = in.network_scale();
  out.deinterlace = in.deinterlace();
  out.frame_rate = in.frame_rate();
  out.pixel_format = in.pixel_format();
  out.shot = get(in.shot());
  return out;
}

void put(const SegmentTask& in, pb::SegmentTask& out) {
  out.set_task(in.task.value);
  out.set_attempt(in.attempt.value);
  out.set_clip(in.clip.value);
  out.set_first(in.first);
  out.set_last(in.last);
  out.set_path(in.path);
  out.set_tile_height(in.tile_height);
  out.set_tile_width(in.tile_width);
  out.set_output_width(in.output_width);
  out.set_output_height(in.output_height);
  out.set_codec(in.codec);
  out.set_quality(in.quality);
  out.set_preset(in.preset);
  out.set_pixel_format(in.pixel_format);
  out.set_executor(in.executor);
  out.set_output(in.output);
  out.set_encoder_threads(in.encoder_threads);
  out.set_encoder(in.encoder);
  if (in.shot.frames > 0) put_shot(in.shot, *out.mutable_shot());
}

SegmentTask get(const pb::SegmentTask& in) {
  SegmentTask out;
  out.task.value = in.task();
  out.attempt.value = in.attempt();
  out.clip.value = in.clip();
  out.first = in.first();
  out.last = in.last();
  out.path = in.path();
  out.tile_height = in.tile_height();
  out.tile_width = in.tile_width();
  out.output_width = in.output_width();
  out.output_height = in.output_height();
  out.codec = in.codec();
  out.quality = in.quality();
  out.preset = in.preset();
  out.pixel_format = in.pixel_format();
  out.executor = in.executor();
  out.output = in.output();
  out.encoder_threads = in.encoder_threads();
  out.encoder = in.encoder();
  out.shot = get(in.shot());
  return out;
}

void put(const JoinTask& in, pb::JoinTask& out) {
  out.set_task(in.task.value);
  out.set_clip(in.clip.value);
  for (const auto& item : in.segments) out.add_segments(item);
  out.set_path(in.path);
  out.set_codec(in.codec);
  out.set_output(in.output);
  out.set_output_width(in.output_width);
  out.set_output_height(in.output_height);
  for (const auto& item : in.frame_counts) out.add_frame_counts(item);
  out.set_quality(in.quality);
  out.set_preset(in.preset);
  out.set_pixel_format(in.pixel_format);
  out.set_encoder_threads(in.encoder_threads);
  out.set_encoder(in.encoder);
}

JoinTask get(const pb::JoinTask& in) {
  JoinTask out;
  out.task.value = in.task();
  out.clip.value = in.clip();
  out.segments.assign(in.segments().begin(), in.segments().end());
  out.path = in.path();
  out.codec = in.codec();
  out.output = in.output();
  out.output_width = in.output_width();
  out.output_height = in.output_height();
  out.frame_counts.assign(in.frame_counts().begin(), in.frame_counts().end());
  out.quality = in.quality();
  out.preset = in.preset();
  out.pixel_format = in.pixel_format();
  out.encoder_threads = in.encoder_threads();
  out.encoder = in.encoder();
  return out;
}

void put(const Cancel& in, pb::Cancel& out) {
  out.set_task(in.task.value);
}

Cancel get(const pb::Cancel& in) {
  Cancel out;
  out.task.value = in.task();
  return out;
}

void put(const Shutdown&, pb::Shutdown&) {
}

Shutdown get(const pb::Shutdown&) {
  return {};
}

void put(const OfferKernels& in, pb::OfferKernels& out) {
  out.set_key(in.key);
  out.set_envelope(in.envelope);
  out.set_trusted_keys(in.trusted_keys);
}

OfferKernels get(const pb::OfferKernels& in) {
  OfferKernels out;
  out.key = in.key();
  out.envelope = in.envelope();
  out.trusted_keys = in.trusted_keys();
  return out;
}

void put(const OpenShare& in, pb::OpenShare& out) {
  out.set_epoch(in.epoch);
  out.set_rank(in.rank);
  out.set_ranks(in.ranks);
}

OpenShare get(const pb::OpenShare& in) {
  OpenShare out;
  out.epoch = in.epoch();
  out.rank = in.rank();
  out.ranks = in.ranks();
  return out;
}

void put(const ShareId& in, pb::ShareId& out) {
  out.set_epoch(in.epoch);
  out.set_id(in.id);
}

ShareId get(const pb::ShareId& in) {
  ShareId out;
  out.epoch = in.epoch();
  out.id = in.id();
  return out;
}

void put(const ShareOver& in, pb::ShareOver& out) {
  out.set_epoch(in.epoch);
  out.set_why(in.why);
}

ShareOver get(const pb::ShareOver& in) {
  ShareOver out;
  out.epoch = in.epoch();
  out.why = in.why();
  return out;
}

struct ToLanePut {
  pb::ToLane& out;
  void operator()(const SetUp& in) const { put(in, *out.mutable_set_up()); }
  void operator()(const LoadPackage& in) const { put(in, *out.mutable_load_package()); }
  void operator()(const DefineClip& in) const { put(in, *out.mutable_define_clip()); }
  void operator()(const OfferArtifact& in) const { put(in, *out.mutable_offer_artifact()); }
  void operator()(const ProbeTask& in) const { put(in, *out.mutable_probe()); }
  void operator()(const SegmentTask& in) const { put(in, *out.mutable_segment()); }
  void operator()(const JoinTask& in) const { put(in, *out.mutable_join()); }
  void operator()(const Cancel& in) const { put(in, *out.mutable_cancel()); }
  void operator()(const Shutdown& in) const { put(in, *out.mutable_shutdown()); }
  void operator()(const OfferKernels& in) const { put(in, *out.mutable_offer_kernels()); }
  void operator()(const OpenShare& in) const { put(in, *out.mutable_open_share()); }
  void operator()(const ShareId& in) const { put(in, *out.mutable_share_id()); }
  void operator()(const ShareOver& in) const { put(in, *out.mutable_share_over()); }
  void operator()(const LoadGenerator& in) const { put(in, *out.mutable_load_generator()); }
};

Result<ToLane> open(const pb::ToLane& in) {
  switch (in.body_case()) {
    case pb::ToLane::kSetUp:
      return get(in.set_up());
    case pb::ToLane::kLoadPackage:
      return get(in.load_package());
    case pb::ToLane::kDefineClip:
      return get(in.define_clip());
    case pb::ToLane::kOfferArtifact:
      return get(in.offer_artifact());
    case pb::ToLane::kProbe:
      return get(in.probe());
    case pb::ToLane::kSegment:
      return get(in.segment());
    case pb::ToLane::kJoin:
      return get(in.join());
    case pb::ToLane::kCancel:
      return get(in.cancel());
    case pb::ToLane::kShutdown:
      return get(in.shutdown());
    case pb::ToLane::kOfferKernels:
      return get(in.offer_kernels());
    case pb::ToLane::kOpenShare:
      return get(in.open_share());
    case pb::ToLane::kShareId:
      return get(in.share_id());
    case pb::ToLane::kShareOver:
      return get(in.share_over());
    case pb::ToLane::kLoadGenerator:
      return get(in.load_generator());
    case pb::ToLane::BODY_NOT_SET:
      break;
  }
  return fail(make_error(ErrorCode::kDataLoss, "a message without a body"));
}

}  // namespace

std::string encode(const ToLane& message) {
  pb::ToLane out;
  std::visit(ToLanePut{out}, message);
  return out.SerializeAsString();
}

Result<ToLane> decode_to_lane(std::string_view bytes) {
  pb::ToLane in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(make_error(ErrorCode::kDataLoss, "{} bytes are no lane message", bytes.size()));
  }
  return open(in);
}

}  // namespace kiln::net
