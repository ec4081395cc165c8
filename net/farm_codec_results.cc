#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {

void put(const TileChoice& in, farm::TileChoice& out) {
  out.set_budget_bytes(in.budget_bytes);
  out.set_graph(in.graph);
  out.set_graph_sha256(in.graph_sha256);
  out.set_height(in.height);
  out.set_width(in.width);
  out.set_activation_bytes(in.activation_bytes);
  out.set_computed_pixels(in.computed_pixels);
  out.set_dtype(wire_dtype(in.dtype));
  out.set_card_bytes(in.card_bytes);
}

TileChoice get(const farm::TileChoice& in, WireReader& read) {
  TileChoice out;
  out.budget_bytes = read.bytes(in.budget_bytes(), "TileChoice.budget_bytes");
  out.graph = in.graph();
  out.graph_sha256 = read.digest(in.graph_sha256(), "TileChoice.graph_sha256");
  out.height = read.side32(in.height(), "TileChoice.height");
  out.width = read.side32(in.width(), "TileChoice.width");
  out.activation_bytes = read.bytes(in.activation_bytes(), "TileChoice.activation_bytes");
  out.computed_pixels = read.count(in.computed_pixels(), "TileChoice.computed_pixels");
  out.dtype = read.dtype(in.dtype(), "TileChoice.dtype");
  out.card_bytes = read.bytes(in.card_bytes(), "TileChoice.card_bytes");
  return out;
}

namespace {

void put(const ProbeResult& in, farm::ProbeResult& out) {
  out.set_frames(in.frames);
  out.set_width(in.width);
  out.set_height(in.height);
  out.set_duration_s(finite(in.duration_s));
  out.set_pixel_format(in.pixel_format);
  out.set_output_pixel_format(in.output_pixel_format);
  out.set_output_width(in.output_width);
  out.set_output_height(in.output_height);
  out.set_media_tools(in.media_tools);
  put(in.description, *out.mutable_description());
  for (const auto& item : in.tiles) put(item, *out.add_tiles());
  out.set_no_tiles_reason(one_line(in.no_tiles_reason));
  for (const auto& item : in.warnings) out.add_warnings(one_line(item));
}

ProbeResult get(const farm::ProbeResult& in, WireReader& read) {
  ProbeResult out;
  out.frames = read.frames(in.frames(), "ProbeResult.frames");
  out.width = read.side(in.width(), "ProbeResult.width");
  out.height = read.side(in.height(), "ProbeResult.height");
  out.duration_s = read.number(in.duration_s(), "ProbeResult.duration_s");
  out.pixel_format = read.word(in.pixel_format(), "ProbeResult.pixel_format");
  out.output_pixel_format = read.word(in.output_pixel_format(), "ProbeResult.output_pixel_format");
  out.output_width = read.side(in.output_width(), "ProbeResult.output_width");
  out.output_height = read.side(in.output_height(), "ProbeResult.output_height");
  out.media_tools = read.label(in.media_tools(), "ProbeResult.media_tools");
  out.description = get(in.description(), read);
  if (read.may_hold(in.tiles().size(), kTileChoicesMax, "ProbeResult.tiles")) {
    for (const auto& item : in.tiles()) out.tiles.push_back(get(item, read));
  }
  out.no_tiles_reason = read.text(in.no_tiles_reason(), "ProbeResult.no_tiles_reason");
  if (read.may_hold(in.warnings().size(), kWarningsMax, "ProbeResult.warnings")) {
    for (const auto& item : in.warnings()) out.warnings.push_back(read.text(item, "ProbeResult.warnings"));
  }
  return out;
}

void put(const CompileResult& in, farm::CompileResult& out) {
  out.set_key(in.key);
  out.set_from_store(in.from_store);
  out.set_compile_s(finite(in.compile_s));
  out.set_compile_peak_bytes(in.compile_peak_bytes);
  out.set_run_peak_bytes(in.run_peak_bytes);
  out.set_run_ms(finite(in.run_ms));
  put(in.library, *out.mutable_library());
}

CompileResult get(const farm::CompileResult& in, WireReader& read) {
  CompileResult out;
  out.key = read.key(in.key(), "CompileResult.key");
  out.from_store = in.from_store();
  out.compile_s = read.number(in.compile_s(), "CompileResult.compile_s");
  out.compile_peak_bytes = read.bytes(in.compile_peak_bytes(), "CompileResult.compile_peak_bytes");
  out.run_peak_bytes = read.bytes(in.run_peak_bytes(), "CompileResult.run_peak_bytes");
  out.run_ms = read.number(in.run_ms(), "CompileResult.run_ms");
  out.library = get(in.library(), read);
  return out;
}

void put(const CardMemory& in, farm::CardMemory& out) {
  out.set_predicted_bytes(in.predicted_bytes);
  out.set_context_bytes(in.context_bytes);
  out.set_held_bytes(in.held_bytes);
  out.set_activation_bytes(in.activation_bytes);
  out.set_allocated_peak_bytes(in.allocated_peak_bytes);
  out.set_reserved_peak_bytes(in.reserved_peak_bytes);
  out.set_used_bytes(in.used_bytes);
}

CardMemory get(const farm::CardMemory& in, WireReader& read) {
  return {read.bytes(in.predicted_bytes(), "CardMemory.predicted_bytes"),
          read.bytes(in.context_bytes(), "CardMemory.context_bytes"),
          read.bytes(in.held_bytes(), "CardMemory.held_bytes"),
          read.bytes(in.activation_bytes(), "CardMemory.activation_bytes"),
          read.bytes(in.allocated_peak_bytes(), "CardMemory.allocated_peak_bytes"),
          read.bytes(in.reserved_peak_bytes(), "CardMemory.reserved_peak_bytes"),
          read.bytes(in.used_bytes(), "CardMemory.used_bytes")};
}

}  // namespace

void put(const SegmentResult& in, farm::SegmentResult& out) {
  out.set_first(in.first);
  out.set_last(in.last);
  out.set_frames_compiled(in.frames_compiled);
  out.set_decode_s(finite(in.decode_s));
  out.set_model_s(finite(in.model_s));
  out.set_encode_s(finite(in.encode_s));
  out.set_wall_s(finite(in.wall_s));
  out.set_wait_decode_s(finite(in.wait_decode_s));
  out.set_wait_encode_s(finite(in.wait_encode_s));
  out.set_transfer_s(finite(in.transfer_s));
  out.set_frame_hashes(in.frame_hashes);
  out.set_settings_digest(in.settings_digest);
  put(in.segment, *out.mutable_segment());
  out.set_artifact_lost(in.artifact_lost);
  out.set_decode_core_s(finite(in.decode_core_s));
  out.set_model_core_s(finite(in.model_core_s));
  out.set_encode_core_s(finite(in.encode_core_s));
  out.set_first_frame_s(finite(in.first_frame_s));
  if (in.card != CardMemory()) put(in.card, *out.mutable_card());
}

SegmentResult get(const farm::SegmentResult& in, WireReader& read) {
  SegmentResult out;
  out.first = read.frames(in.first(), "SegmentResult.first");
  out.last = read.frames(in.last(), "SegmentResult.last");
  out.frames_compiled = read.frames(in.frames_compiled(), "SegmentResult.frames_compiled");
  out.decode_s = read.number(in.decode_s(), "SegmentResult.decode_s");
  out.model_s = read.number(in.model_s(), "SegmentResult.model_s");
  out.encode_s = read.number(in.encode_s(), "SegmentResult.encode_s");
  out.wall_s = read.number(in.wall_s(), "SegmentResult.wall_s");
  out.wait_decode_s = read.number(in.wait_decode_s(), "SegmentResult.wait_decode_s");
  out.wait_encode_s = read.number(in.wait_encode_s(), "SegmentResult.wait_encode_s");
  out.transfer_s = read.number(in.transfer_s(), "SegmentResult.transfer_s");
  out.frame_hashes = in.frame_hashes();
  out.settings_digest = read.label(in.settings_digest(), "SegmentResult.settings_digest");
  out.segment = get(in.segment(), read);
  out.artifact_lost = in.artifact_lost();
  out.decode_core_s = read.number(in.decode_core_s(), "SegmentResult.decode_core_s");
  out.model_core_s = read.number(in.model_core_s(), "SegmentResult.model_core_s");
  out.encode_core_s = read.number(in.encode_core_s(), "SegmentResult.encode_core_s");
  out.first_frame_s = read.number(in.first_frame_s(), "SegmentResult.first_frame_s");
  out.card = get(in.card(), read);
  if (out.first >= out.last) read.refuse("SegmentResult.last", "is not behind the first frame");
  const auto hashes_bytes = static_cast<std::int64_t>(out.frame_hashes.size());
  if (hashes_bytes != 0 && hashes_bytes != kFrameHashBytes * (out.last - out.first)) {
    read.refuse("SegmentResult.frame_hashes", "does not have 16 bytes for each frame");
  }
  return out;
}

namespace {

void put(const JoinResult& in, farm::JoinResult& out) {
  out.set_frames(in.frames);
  put(in.output, *out.mutable_output());
  for (const auto& item : in.warnings) out.add_warnings(one_line(item));
}

JoinResult get(const farm::JoinResult& in, WireReader& read) {
  JoinResult out;
  out.frames = read.frames(in.frames(), "JoinResult.frames");
  out.output = get(in.output(), read);
  if (read.may_hold(in.warnings().size(), kWarningsMax, "JoinResult.warnings")) {
    for (const auto& item : in.warnings()) out.warnings.push_back(read.text(item, "JoinResult.warnings"));
  }
  return out;
}

void put(const NoopResult&, farm::NoopResult&) {}
NoopResult get(const farm::NoopResult&, WireReader&) { return {}; }

struct TaskResultPut {
  farm::TaskResult& out;
  void operator()(const ProbeResult& in) const { put(in, *out.mutable_probe()); }
  void operator()(const CompileResult& in) const { put(in, *out.mutable_compile()); }
  void operator()(const SegmentResult& in) const { put(in, *out.mutable_segment()); }
  void operator()(const JoinResult& in) const { put(in, *out.mutable_join()); }
  void operator()(const NoopResult& in) const { put(in, *out.mutable_noop()); }
};

}  // namespace

void put(const TaskResult& in, farm::TaskResult& out) { std::visit(TaskResultPut{out}, in); }

TaskResult get(const farm::TaskResult& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::TaskResult::kProbe:
      return get(in.probe(), read);
    case farm::TaskResult::kCompile:
      return get(in.compile(), read);
    case farm::TaskResult::kSegment:
      return get(in.segment(), read);
    case farm::TaskResult::kJoin:
      return get(in.join(), read);
    case farm::TaskResult::kNoop:
      return get(in.noop(), read);
    case farm::TaskResult::BODY_NOT_SET:
      break;
  }
  read.refuse("TaskResult", "holds nothing that this program knows");
  return {};
}

void put(const TaskFault& in, farm::TaskFault& out) {
  out.set_kind(to_wire<farm::FailureKind>(in.kind));
  out.set_code(in.code);
  out.set_message(one_line(in.message));
  out.set_exit(static_cast<int>(in.exit));
  for (const std::string& blob : in.lost_blobs) out.add_lost_blobs(blob);
}

TaskFault get(const farm::TaskFault& in, WireReader& read) {
  TaskFault out;
  out.kind = read.enumerator(in.kind(), FailureKind::kStoreFull, "TaskFault.kind");
  out.code = read.label(in.code(), "TaskFault.code");
  out.message = read.text(in.message(), "TaskFault.message");
  out.exit = read.integer(in.exit(), -1, kExitMax, "TaskFault.exit");
  if (read.may_hold(in.lost_blobs().size(), kSegmentsMax, "TaskFault.lost_blobs")) {
    for (const auto& item : in.lost_blobs()) out.lost_blobs.push_back(read.digest(item, "TaskFault.lost_blobs"));
  }
  return out;
}

}  // namespace kiln::net
