#include "cli/upscale/job_records.h"

#include <nlohmann/json.hpp>

namespace kiln::cli {
namespace {

using nlohmann::json;

JobPlan plan_from(const json& in) {
  if (in.at("format_version").get<int>() != kJobFormatVersion) throw std::invalid_argument("format version");
  JobPlan plan;
  in.at("identity").get_to(plan.identity);
  in.at("frames").get_to(plan.frames);
  in.at("segment_frames").get_to(plan.segment_frames);
  in.at("tile_height").get_to(plan.tile_height);
  in.at("tile_width").get_to(plan.tile_width);
  in.at("threads_per_lane").get_to(plan.threads_per_lane);
  in.at("artifact_key").get_to(plan.artifact_key);
  in.at("encoder_threads").get_to(plan.encoder_threads);
  in.at("media_tools").get_to(plan.media_tools);
  return plan;
}

SegmentRecord record_from(const json& in) {
  SegmentRecord out;
  in.at("segment").get_to(out.segment);
  in.at("frames").get_to(out.frames);
  in.at("frames_compiled").get_to(out.frames_compiled);
  in.at("lane").get_to(out.lane);
  in.at("attempt").get_to(out.attempt);
  in.at("decode_s").get_to(out.decode_s);
  in.at("model_s").get_to(out.model_s);
  in.at("encode_s").get_to(out.encode_s);
  in.at("wall_s").get_to(out.wall_s);
  in.at("wait_decode_s").get_to(out.wait_decode_s);
  in.at("wait_encode_s").get_to(out.wait_encode_s);
  in.at("file_bytes").get_to(out.file_bytes);
  in.at("file_sha256").get_to(out.file_sha256);
  in.at("settings_digest").get_to(out.settings_digest);
  in.at("frame_hashes").get_to(out.frame_hashes);
  return out;
}

FinishedClip finished_from(const json& in) {
  FinishedClip out;
  in.at("output_state").get_to(out.output_state);
  in.at("source").get_to(out.report.source);
  in.at("output").get_to(out.report.output);
  in.at("width").get_to(out.report.width);
  in.at("height").get_to(out.report.height);
  in.at("frames").get_to(out.report.frames);
  in.at("frames_compiled").get_to(out.report.frames_compiled);
  in.at("segments").get_to(out.report.segments);
  in.at("tiles").get_to(out.report.tiles);
  in.at("tile_width").get_to(out.report.tile_width);
  in.at("tile_height").get_to(out.report.tile_height);
  in.at("duration_s").get_to(out.report.duration_s);
  in.at("artifact_key").get_to(out.report.artifact_key);
  in.at("warnings").get_to(out.report.warnings);
  in.at("frame_hashes").get_to(out.report.frame_hashes);
  out.report.segments_resumed = out.report.segments;
  return out;
}

template <typename T, typename Read>
Result<T> decode(std::string_view text, const char* what, Read read) {
  try {
    return read(json::parse(text));
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, "no {}: {}", what, error.what()));
  }
}

}  // namespace

std::string encode_plan(const JobPlan& plan) {
  const json out = {{"format_version", kJobFormatVersion},
                    {"identity", plan.identity},
                    {"frames", plan.frames},
                    {"segment_frames", plan.segment_frames},
                    {"tile_height", plan.tile_height},
                    {"tile_width", plan.tile_width},
                    {"threads_per_lane", plan.threads_per_lane},
                    {"artifact_key", plan.artifact_key},
                    {"encoder_threads", plan.encoder_threads},
                    {"media_tools", plan.media_tools}};
  return out.dump(1) + "\n";
}

Result<JobPlan> decode_plan(std::string_view text) { return decode<JobPlan>(text, "job plan", plan_from); }

std::string encode_record(const SegmentRecord& record) {
  const json out = {{"segment", record.segment},
                    {"frames", record.frames},
                    {"frames_compiled", record.frames_compiled},
                    {"lane", record.lane},
                    {"attempt", record.attempt},
                    {"decode_s", record.decode_s},
                    {"model_s", record.model_s},
                    {"encode_s", record.encode_s},
                    {"wall_s", record.wall_s},
                    {"wait_decode_s", record.wait_decode_s},
                    {"wait_encode_s", record.wait_encode_s},
                    {"file_bytes", record.file_bytes},
                    {"file_sha256", record.file_sha256},
                    {"settings_digest", record.settings_digest},
                    {"frame_hashes", record.frame_hashes}};
  return out.dump(1) + "\n";
}

Result<SegmentRecord> decode_record(std::string_view text) {
  return decode<SegmentRecord>(text, "segment record", record_from);
}

std::string encode_finished(const FinishedClip& clip) {
  const json out = {{"output_state", clip.output_state},
                    {"source", clip.report.source},
                    {"output", clip.report.output},
                    {"width", clip.report.width},
                    {"height", clip.report.height},
                    {"frames", clip.report.frames},
                    {"frames_compiled", clip.report.frames_compiled},
                    {"segments", clip.report.segments},
                    {"tiles", clip.report.tiles},
                    {"tile_width", clip.report.tile_width},
                    {"tile_height", clip.report.tile_height},
                    {"duration_s", clip.report.duration_s},
                    {"artifact_key", clip.report.artifact_key},
                    {"warnings", clip.report.warnings},
                    {"frame_hashes", clip.report.frame_hashes}};
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<FinishedClip> decode_finished(std::string_view text) {
  return decode<FinishedClip>(text, "finished clip", finished_from);
}

}  // namespace kiln::cli
