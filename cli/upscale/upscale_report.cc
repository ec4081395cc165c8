#include "cli/upscale/upscale_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace kiln::cli {
namespace {

using nlohmann::json;

LaneReport total(const UpscaleReport& report) {
  LaneReport sum;
  for (const auto& [id, lane] : report.lanes) {
    sum.segments += lane.segments;
    sum.frames += lane.frames;
    sum.decode_s += lane.decode_s;
    sum.model_s += lane.model_s;
    sum.encode_s += lane.encode_s;
    sum.wait_decode_s += lane.wait_decode_s;
    sum.wait_encode_s += lane.wait_encode_s;
  }
  return sum;
}

double video_seconds(const UpscaleReport& report) {
  double seconds = 0.0;
  for (const ClipReport& clip : report.clips) {
    if (clip.segments_resumed == 0) seconds += clip.duration_s;
  }
  return seconds;
}

std::string row(const std::string& name, const LaneReport& lane) {
  return fmt::format("  {:<8} {:>8} {:>8} {:>9.1f} {:>9.1f} {:>9.1f}\n", name, lane.segments, lane.frames,
                     lane.decode_s, lane.model_s, lane.encode_s);
}

std::string clip_lines(const ClipReport& clip) {
  std::string out = fmt::format("{}\n  {} frames of {}x{}: {} compiled, {} uncompiled", clip.output, clip.frames,
                                clip.width, clip.height, clip.frames_compiled, clip.frames - clip.frames_compiled);
  if (clip.segments_resumed > 0) {
    out += fmt::format("; {} of {} segments were there already", clip.segments_resumed, clip.segments);
  }
  out += "\n";
  for (const std::string& warning : clip.warnings) out += fmt::format("  warning: {}\n", warning);
  return out;
}

std::string compiles_text(const UpscaleReport& report) {
  std::string out = fmt::format("compiles {}", report.compiles);
  if (report.compile_s > 0.0) out += fmt::format(" ({:.1f} s)", report.compile_s);
  if (report.compiles_running > 0) out += fmt::format(", {} still running", report.compiles_running);
  return out;
}

json lane_json(LaneId id, const LaneReport& lane) {
  return {{"lane", id.value},          {"segments", lane.segments},
          {"frames", lane.frames},     {"decode_s", lane.decode_s},
          {"model_s", lane.model_s},   {"encode_s", lane.encode_s},
          {"wait_decode_s", lane.wait_decode_s}, {"wait_encode_s", lane.wait_encode_s}};
}

json clip_json(const ClipReport& clip) {
  return {{"source", clip.source},
          {"output", clip.output},
          {"width", clip.width},
          {"height", clip.height},
          {"frames", clip.frames},
          {"frames_compiled", clip.frames_compiled},
          {"frames_uncompiled", clip.frames - clip.frames_compiled},
          {"segments", clip.segments},
          {"segments_resumed", clip.segments_resumed},
          {"tiles", clip.tiles},
          {"tile_width", clip.tile_width},
          {"tile_height", clip.tile_height},
          {"duration_s", clip.duration_s},
          {"artifact_key", clip.artifact_key},
          {"warnings", clip.warnings},
          {"frame_hashes", clip.frame_hashes}};
}

}  // namespace

std::int64_t UpscaleReport::frames() const {
  std::int64_t sum = 0;
  for (const ClipReport& clip : clips) sum += clip.frames;
  return sum;
}

std::int64_t UpscaleReport::frames_compiled() const {
  std::int64_t sum = 0;
  for (const ClipReport& clip : clips) sum += clip.frames_compiled;
  return sum;
}

SlowPart slow_part(const UpscaleReport& report) {
  const LaneReport sum = total(report);
  if (sum.wait_decode_s > sum.model_s && sum.wait_decode_s >= sum.wait_encode_s) {
    return {"decode", "a source that decodes faster, or more cores"};
  }
  if (sum.wait_encode_s > sum.model_s) return {"encode", "a faster codec or preset, or more cores"};
  return {"model", "more or faster lanes"};
}

std::string report_table(const UpscaleReport& report) {
  std::string out;
  for (const ClipReport& clip : report.clips) out += clip_lines(clip);
  out += fmt::format("\n  {:<8} {:>8} {:>8} {:>9} {:>9} {:>9}\n", "lane", "segments", "frames", "decode s", "model s",
                     "encode s");
  for (const auto& [id, lane] : report.lanes) out += row(std::to_string(id.value), lane);
  const LaneReport sum = total(report);
  if (report.lanes.size() > 1) out += row("all", sum);
  const SlowPart slow = slow_part(report);
  out += fmt::format("\n  {}   store hits {}   slow part: {} ({})\n", compiles_text(report), report.store_hits,
                     slow.name, slow.advice);
  const double seconds = video_seconds(report);
  const double fps = report.wall_s > 0.0 ? static_cast<double>(sum.frames) / report.wall_s : 0.0;
  out += fmt::format("  {} wall, {:.2f} fps", format_seconds(report.wall_s), fps);
  if (seconds > 0.0 && report.wall_s > 0.0) out += fmt::format(", {:.3f} x real time", seconds / report.wall_s);
  if (report.lanes_lost > 0) out += fmt::format(", {} lane(s) lost on the way", report.lanes_lost);
  return out + "\n";
}

std::string report_json(const UpscaleReport& report) {
  json clips = json::array();
  for (const ClipReport& clip : report.clips) clips.push_back(clip_json(clip));
  json lanes = json::array();
  for (const auto& [id, lane] : report.lanes) lanes.push_back(lane_json(id, lane));
  const double seconds = video_seconds(report);
  const SlowPart slow = slow_part(report);
  const json out = {{"clips", std::move(clips)},
                    {"lanes", std::move(lanes)},
                    {"compiles", report.compiles},
                    {"compile_s", report.compile_s},
                    {"compile_failures", report.compile_failures},
                    {"store_hits", report.store_hits},
                    {"results_dropped", report.results_dropped},
                    {"lanes_lost", report.lanes_lost},
                    {"slow_part", slow.name},
                    {"wall_s", report.wall_s},
                    {"first_frame_s", report.first_frame_s},
                    {"frames_per_second",
                     report.wall_s > 0.0 ? static_cast<double>(total(report).frames) / report.wall_s : 0.0},
                    {"real_time_factor", report.wall_s > 0.0 ? seconds / report.wall_s : 0.0},
                    {"phases",
                     {{"start_s", report.phases.start_s},
                      {"render_s", report.phases.render_s},
                      {"join_s", report.phases.join_s},
                      {"place_s", report.phases.place_s}}},
                    {"threads_per_lane", report.threads_per_lane}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace kiln::cli
