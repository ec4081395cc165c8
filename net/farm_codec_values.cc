#include "net/farm_codec_wire.h"

#include "net/kiln.pb.h"

namespace kiln::net {

void put(const Error& in, farm::Error& out) {
  out.set_code(std::string(to_string(in.code)));
  out.set_message(one_line(in.message));
  out.set_exit(static_cast<int>(in.exit));
}

Error get(const farm::Error& in, WireReader& read) {
  Error out;
  out.code = read.code(in.code(), "Error.code");
  out.message = read.text(in.message(), "Error.message");
  out.exit = static_cast<ExitCode>(read.integer(in.exit(), -1, kExitMax, "Error.exit"));
  return out;
}

void put(const BlobRef& in, farm::BlobRef& out) {
  out.set_sha256(in.sha256);
  out.set_bytes(in.bytes);
}

BlobRef get(const farm::BlobRef& in, WireReader& read) {
  BlobRef out;
  out.sha256 = read.digest(in.sha256(), "BlobRef.sha256");
  out.bytes = read.bytes(in.bytes(), "BlobRef.bytes");
  return out;
}

namespace {

void put(const PackageFile& in, farm::PackageFile& out) {
  out.set_path(in.path);
  put(in.blob, *out.mutable_blob());
  out.set_place(in.place);
}

PackageFile get(const farm::PackageFile& in, WireReader& read) {
  PackageFile out;
  out.path = read.relative_path(in.path(), "PackageFile.path");
  out.blob = get(in.blob(), read);
  if (out.blob.sha256.empty()) read.refuse("PackageFile.blob", "names no blob");
  out.place = read.path(in.place(), "PackageFile.place");
  if (!out.place.empty() && !out.place.starts_with('/')) read.refuse("PackageFile.place", "is not absolute");
  return out;
}

}  // namespace

void put(const PackageRef& in, farm::PackageRef& out) {
  for (const auto& item : in.files) put(item, *out.add_files());
}

PackageRef get(const farm::PackageRef& in, WireReader& read) {
  PackageRef out;
  if (read.may_hold(in.files().size(), kPackageFilesMax, "PackageRef.files")) {
    for (const auto& item : in.files()) out.files.push_back(get(item, read));
  }
  return out;
}

void put(const ClipSource& in, farm::ClipSource& out) {
  out.set_in_place(in.in_place);
  out.set_path(in.path);
  put(in.blob, *out.mutable_blob());
  if (in.is_shot()) put(in.shot, *out.mutable_shot());
}

ClipSource get(const farm::ClipSource& in, WireReader& read) {
  ClipSource out;
  out.in_place = in.in_place();
  out.path = read.path(in.path(), "ClipSource.path");
  out.blob = get(in.blob(), read);
  if (in.has_shot()) out.shot = get(in.shot(), read);
  if (out.in_place && !out.path.starts_with('/')) read.refuse("ClipSource.path", "is in place and not absolute");
  return out;
}

void put(const OutputSettings& in, farm::OutputSettings& out) {
  out.set_file_name(in.file_name);
  out.set_codec(in.codec);
  out.set_quality(in.quality);
  out.set_preset(in.preset);
  out.set_pixel_format(in.pixel_format);
  out.set_scale(in.scale);
  out.set_frame_rate(in.frame_rate);
  out.set_deinterlace(in.deinterlace);
  out.set_encoder(in.encoder);
}

OutputSettings get(const farm::OutputSettings& in, WireReader& read) {
  OutputSettings out;
  out.file_name = read.path(in.file_name(), "OutputSettings.file_name");
  out.codec = read.word(in.codec(), "OutputSettings.codec");
  out.quality = read.integer(in.quality(), -1, kQualityMax, "OutputSettings.quality");
  out.preset = read.word(in.preset(), "OutputSettings.preset");
  out.pixel_format = read.word(in.pixel_format(), "OutputSettings.pixel_format");
  out.scale = read.word(in.scale(), "OutputSettings.scale");
  out.frame_rate = read.word(in.frame_rate(), "OutputSettings.frame_rate");
  out.deinterlace = in.deinterlace();
  out.encoder = read.word(in.encoder(), "OutputSettings.encoder");
  return out;
}

void put(const CompileSettings& in, farm::CompileSettings& out) {
  const CompileSettings usual;
  if (in.backend != usual.backend) out.set_backend(in.backend);
  if (in.mode != usual.mode) out.set_mode(in.mode);
  out.set_dynamic(in.dynamic);
  out.set_whole_model(!in.compile_transformer_blocks_only);
  out.set_fullgraph(in.fullgraph);
  if (in.dynamo_cache_size_limit != usual.dynamo_cache_size_limit) out.set_dynamo_cache_size_limit(in.dynamo_cache_size_limit);
  if (in.dynamo_recompile_limit != usual.dynamo_recompile_limit) out.set_dynamo_recompile_limit(in.dynamo_recompile_limit);
  out.set_force_parameter_static_shapes(in.force_parameter_static_shapes);
  out.set_allow_unmerged_lora_compile(in.allow_unmerged_lora_compile);
}

// Which words there are is for who plans with them to say: the answer can then name the nearest.
CompileSettings get(const farm::CompileSettings& in, WireReader& read) {
  CompileSettings out;
  if (!in.backend().empty()) out.backend = read.word(in.backend(), "CompileSettings.backend");
  if (!in.mode().empty()) out.mode = read.word(in.mode(), "CompileSettings.mode");
  out.dynamic = in.dynamic();
  out.compile_transformer_blocks_only = !in.whole_model();
  out.fullgraph = in.fullgraph();
  if (in.dynamo_cache_size_limit() > 0) {
    out.dynamo_cache_size_limit = read.limit(in.dynamo_cache_size_limit(), "CompileSettings.dynamo_cache_size_limit");
  }
  if (in.dynamo_recompile_limit() > 0) {
    out.dynamo_recompile_limit = read.limit(in.dynamo_recompile_limit(), "CompileSettings.dynamo_recompile_limit");
  }
  out.force_parameter_static_shapes = in.force_parameter_static_shapes();
  out.allow_unmerged_lora_compile = in.allow_unmerged_lora_compile();
  return out;
}

void put(const LaneClass& in, farm::LaneClass& out) {
  out.set_arch(in.arch);
  out.set_isa(in.isa);
  out.set_device_name(in.device_name);
  out.set_threads(in.threads);
  out.set_toolchain(in.toolchain);
}

LaneClass get(const farm::LaneClass& in, WireReader& read) {
  LaneClass out;
  out.arch = read.label(in.arch(), "LaneClass.arch");
  out.isa = read.label(in.isa(), "LaneClass.isa");
  out.device_name = read.label(in.device_name(), "LaneClass.device_name");
  out.threads = read.integer(in.threads(), 0, kThreadsMax, "LaneClass.threads");
  out.toolchain = read.label(in.toolchain(), "LaneClass.toolchain");
  return out;
}

namespace {

void put(const CardSpeed& in, farm::CardSpeed& out) {
  out.set_float32_tflops(finite(in.float32_tflops));
  out.set_tf32_tflops(finite(in.tf32_tflops));
  out.set_float16_tflops(finite(in.float16_tflops));
  out.set_bfloat16_tflops(finite(in.bfloat16_tflops));
  out.set_fp8_tflops(finite(in.fp8_tflops));
  out.set_memory_bytes_per_s(finite(in.memory_bytes_per_s));
  out.set_to_device_bytes_per_s(finite(in.to_device_bytes_per_s));
  out.set_to_host_bytes_per_s(finite(in.to_host_bytes_per_s));
}

CardSpeed get(const farm::CardSpeed& in, WireReader& read) {
  CardSpeed out;
  out.float32_tflops = read.number(in.float32_tflops(), "CardSpeed.float32_tflops");
  out.tf32_tflops = read.number(in.tf32_tflops(), "CardSpeed.tf32_tflops");
  out.float16_tflops = read.number(in.float16_tflops(), "CardSpeed.float16_tflops");
  out.bfloat16_tflops = read.number(in.bfloat16_tflops(), "CardSpeed.bfloat16_tflops");
  out.fp8_tflops = read.number(in.fp8_tflops(), "CardSpeed.fp8_tflops");
  out.memory_bytes_per_s = read.number(in.memory_bytes_per_s(), "CardSpeed.memory_bytes_per_s");
  out.to_device_bytes_per_s = read.number(in.to_device_bytes_per_s(), "CardSpeed.to_device_bytes_per_s");
  out.to_host_bytes_per_s = read.number(in.to_host_bytes_per_s(), "CardSpeed.to_host_bytes_per_s");
  return out;
}

}  // namespace

void put(const CardFacts& in, farm::CardFacts& out) {
  out.set_index(in.index);
  out.set_uuid(in.uuid);
  out.set_pci(in.pci);
  out.set_driver(in.driver);
  out.set_cuda(in.cuda);
  out.set_memory_bytes(in.memory_bytes);
  out.set_free_bytes(in.free_bytes);
  out.set_reserved_bytes(in.reserved_bytes);
  out.set_fp8(in.fp8);
  out.set_link_generation(in.link_generation);
  out.set_link_width(in.link_width);
  out.set_numa_node(in.numa_node);
  if (in.speed != CardSpeed()) put(in.speed, *out.mutable_speed());
  out.set_context_bytes(in.context_bytes);
  for (const std::string& item : in.encoders) out.add_encoders(item);
}

CardFacts get(const farm::CardFacts& in, WireReader& read) {
  CardFacts out;
  out.index = in.index();
  out.uuid = read.label(in.uuid(), "CardFacts.uuid");
  if (out.uuid.empty()) read.refuse("CardFacts.uuid", "is empty");
  out.pci = read.label(in.pci(), "CardFacts.pci");
  out.driver = read.label(in.driver(), "CardFacts.driver");
  out.cuda = read.label(in.cuda(), "CardFacts.cuda");
  out.memory_bytes = read.bytes(in.memory_bytes(), "CardFacts.memory_bytes");
  out.free_bytes = read.bytes(in.free_bytes(), "CardFacts.free_bytes");
  out.reserved_bytes = read.bytes(in.reserved_bytes(), "CardFacts.reserved_bytes");
  out.fp8 = in.fp8();
  out.link_generation = in.link_generation();
  out.link_width = in.link_width();
  out.numa_node = read.integer(in.numa_node(), -1, kNumaNodesMax, "CardFacts.numa_node");
  out.speed = get(in.speed(), read);
  out.context_bytes = read.bytes(in.context_bytes(), "CardFacts.context_bytes");
  if (read.may_hold(in.encoders().size(), kCardEncodersMax, "CardFacts.encoders")) {
    for (const auto& item : in.encoders()) out.encoders.push_back(read.label(item, "CardFacts.encoders"));
  }
  return out;
}

void put(const LaneOffer& in, farm::LaneOffer& out) {
  out.set_lane(in.lane.value);
  put(in.kind, *out.mutable_kind());
  out.set_budget_bytes(in.budget_bytes);
  out.set_encoder_threads(in.encoder_threads);
  if (!in.card.uuid.empty()) put(in.card, *out.mutable_card());
  out.set_generates(in.generates);
}

LaneOffer get(const farm::LaneOffer& in, WireReader& read) {
  LaneOffer out;
  out.lane.value = in.lane();
  if (out.lane.value >= kLanesMax) read.refuse("LaneOffer.lane", "is beyond the lanes that a worker may have");
  out.kind = get(in.kind(), read);
  out.budget_bytes = read.bytes(in.budget_bytes(), "LaneOffer.budget_bytes");
  out.encoder_threads = read.integer(in.encoder_threads(), 0, kThreadsMax, "LaneOffer.encoder_threads");
  if (in.has_card()) out.card = get(in.card(), read);
  out.generates = in.generates();
  return out;
}

}  // namespace kiln::net
