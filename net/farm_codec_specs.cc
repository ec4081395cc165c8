#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {
namespace {

void put(const ProbeSpec& in, farm::ProbeSpec& out) {
  put(in.source, *out.mutable_source());
  put(in.output, *out.mutable_output());
  for (const auto& item : in.budgets_bytes) out.add_budgets_bytes(item);
  for (const auto& item : in.dtypes) out.add_dtypes(item);
  for (const auto& item : in.card_budgets_bytes) out.add_card_budgets_bytes(item);
}

ProbeSpec get(const farm::ProbeSpec& in, WireReader& read) {
  ProbeSpec out;
  out.source = get(in.source(), read);
  out.output = get(in.output(), read);
  if (read.may_hold(in.budgets_bytes().size(), kTileChoicesMax, "ProbeSpec.budgets_bytes")) {
    for (const auto& item : in.budgets_bytes()) out.budgets_bytes.push_back(read.bytes(item, "ProbeSpec.budgets_bytes"));
  }
  if (read.may_hold(in.dtypes().size(), kDtypesMax, "ProbeSpec.dtypes")) {
    for (const auto& item : in.dtypes()) out.dtypes.push_back(read.dtype(item, "ProbeSpec.dtypes"));
  }
  if (read.may_hold(in.card_budgets_bytes().size(), kTileChoicesMax, "ProbeSpec.card_budgets_bytes")) {
    for (const auto& item : in.card_budgets_bytes()) {
      out.card_budgets_bytes.push_back(read.bytes(item, "ProbeSpec.card_budgets_bytes"));
    }
  }
  return out;
}

void put(const CompileSpec& in, farm::CompileSpec& out) {
  out.set_key(in.key);
  out.set_graph(in.graph);
  out.set_height(in.height);
  out.set_width(in.width);
  out.set_dtype(wire_dtype(in.dtype));
  if (is_said(in.settings)) put(in.settings, *out.mutable_settings());
  out.set_activation_bytes(in.activation_bytes);
}

CompileSpec get(const farm::CompileSpec& in, WireReader& read) {
  CompileSpec out;
  out.key = read.key(in.key(), "CompileSpec.key");
  out.graph = in.graph();
  out.height = read.side32(in.height(), "CompileSpec.height");
  out.width = read.side32(in.width(), "CompileSpec.width");
  out.dtype = read.dtype(in.dtype(), "CompileSpec.dtype");
  out.settings = get(in.settings(), read);
  out.activation_bytes = read.bytes(in.activation_bytes(), "CompileSpec.activation_bytes");
  return out;
}

void put(const SegmentSpec& in, farm::SegmentSpec& out) {
  put(in.source, *out.mutable_source());
  put(in.output, *out.mutable_output());
  put(in.description, *out.mutable_description());
  out.set_first(in.first);
  out.set_last(in.last);
  out.set_tile_height(in.tile_height);
  out.set_tile_width(in.tile_width);
  out.set_output_width(in.output_width);
  out.set_output_height(in.output_height);
  out.set_output_pixel_format(in.output_pixel_format);
  out.set_executor(in.executor);
  out.set_artifact_key(in.artifact_key);
  out.set_artifact_ready(in.artifact_ready);
  out.set_encoder_threads(in.encoder_threads);
  out.set_dtype(wire_dtype(in.dtype));
  out.set_activation_bytes(in.activation_bytes);
  out.set_card_bytes(in.card_bytes);
}

SegmentSpec get(const farm::SegmentSpec& in, WireReader& read) {
  SegmentSpec out;
  out.source = get(in.source(), read);
  out.output = get(in.output(), read);
  out.description = get(in.description(), read);
  out.first = read.frames(in.first(), "SegmentSpec.first");
  out.last = read.frames(in.last(), "SegmentSpec.last");
  out.tile_height = read.side32(in.tile_height(), "SegmentSpec.tile_height");
  out.tile_width = read.side32(in.tile_width(), "SegmentSpec.tile_width");
  out.output_width = read.side(in.output_width(), "SegmentSpec.output_width");
  out.output_height = read.side(in.output_height(), "SegmentSpec.output_height");
  out.output_pixel_format = read.word(in.output_pixel_format(), "SegmentSpec.output_pixel_format");
  out.executor = read.executor(in.executor(), "SegmentSpec.executor");
  out.artifact_key = read.digest(in.artifact_key(), "SegmentSpec.artifact_key");
  out.artifact_ready = in.artifact_ready();
  out.encoder_threads = read.integer(in.encoder_threads(), 0, kThreadsMax, "SegmentSpec.encoder_threads");
  out.dtype = read.dtype(in.dtype(), "SegmentSpec.dtype");
  out.activation_bytes = read.bytes(in.activation_bytes(), "SegmentSpec.activation_bytes");
  out.card_bytes = read.bytes(in.card_bytes(), "SegmentSpec.card_bytes");
  if (out.first >= out.last) read.refuse("SegmentSpec.last", "is not behind the first frame");
  return out;
}

void put(const JoinSegment& in, farm::JoinSegment& out) {
  put(in.blob, *out.mutable_blob());
  out.set_frames(in.frames);
}

JoinSegment get(const farm::JoinSegment& in, WireReader& read) {
  JoinSegment out;
  out.blob = get(in.blob(), read);
  if (out.blob.sha256.empty()) read.refuse("JoinSegment.blob", "names no blob");
  out.frames = read.frames(in.frames(), "JoinSegment.frames");
  return out;
}

void put(const JoinSpec& in, farm::JoinSpec& out) {
  put(in.source, *out.mutable_source());
  put(in.output, *out.mutable_output());
  put(in.description, *out.mutable_description());
  out.set_output_width(in.output_width);
  out.set_output_height(in.output_height);
  out.set_output_pixel_format(in.output_pixel_format);
  for (const auto& item : in.segments) put(item, *out.add_segments());
  out.set_encoder_threads(in.encoder_threads);
}

JoinSpec get(const farm::JoinSpec& in, WireReader& read) {
  JoinSpec out;
  out.source = get(in.source(), read);
  out.output = get(in.output(), read);
  out.description = get(in.description(), read);
  out.output_width = read.side(in.output_width(), "JoinSpec.output_width");
  out.output_height = read.side(in.output_height(), "JoinSpec.output_height");
  out.output_pixel_format = read.word(in.output_pixel_format(), "JoinSpec.output_pixel_format");
  if (read.may_hold(in.segments().size(), kSegmentsMax, "JoinSpec.segments")) {
    for (const auto& item : in.segments()) out.segments.push_back(get(item, read));
  }
  out.encoder_threads = read.integer(in.encoder_threads(), 0, kThreadsMax, "JoinSpec.encoder_threads");
  return out;
}

void put(const NoopSpec&, farm::NoopSpec&) {}
NoopSpec get(const farm::NoopSpec&, WireReader&) { return {}; }

struct TaskSpecPut {
  farm::TaskSpec& out;
  void operator()(const ProbeSpec& in) const { put(in, *out.mutable_probe()); }
  void operator()(const CompileSpec& in) const { put(in, *out.mutable_compile()); }
  void operator()(const SegmentSpec& in) const { put(in, *out.mutable_segment()); }
  void operator()(const JoinSpec& in) const { put(in, *out.mutable_join()); }
  void operator()(const NoopSpec& in) const { put(in, *out.mutable_noop()); }
};

}  // namespace

void put(const TaskSpec& in, farm::TaskSpec& out) { std::visit(TaskSpecPut{out}, in); }

TaskSpec get(const farm::TaskSpec& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::TaskSpec::kProbe:
      return get(in.probe(), read);
    case farm::TaskSpec::kCompile:
      return get(in.compile(), read);
    case farm::TaskSpec::kSegment:
      return get(in.segment(), read);
    case farm::TaskSpec::kJoin:
      return get(in.join(), read);
    case farm::TaskSpec::kNoop:
      return get(in.noop(), read);
    case farm::TaskSpec::BODY_NOT_SET:
      break;
  }
  read.refuse("TaskSpec", "holds nothing that this program knows");
  return {};
}

}  // namespace kiln::net
