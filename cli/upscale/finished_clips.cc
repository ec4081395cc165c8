#include "cli/upscale/finished_clips.h"

#include <nlohmann/json.hpp>
#include <span>

#include "base/atomic_file.h"
#include "base/fd.h"
#include "cli/image_files.h"

namespace kiln::cli {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 2;
constexpr std::uint64_t kRecordBytesMax = 1ULL << 30U;
constexpr std::size_t kNameDigits = 32;

FinishedClip finished_from(const json& in) {
  if (in.at("format_version").get<int>() != kFormatVersion) throw std::invalid_argument("format version");
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

}  // namespace

std::string encode_finished(const FinishedClip& clip) {
  const json out = {{"format_version", kFormatVersion},
                    {"output_state", clip.output_state},
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
  try {
    return finished_from(json::parse(text));
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, "no finished clip: {}", error.what()));
  }
}

Result<FinishedClips> FinishedClips::open(FileSystem& files, const std::string& state) {
  const std::string folder = state + "/jobs";
  KILN_TRY(make_directories(files, folder, 0700));
  return FinishedClips(files, folder);
}

std::string FinishedClips::path_of(const std::string& identity) const {
  return folder_ + "/" + identity.substr(0, kNameDigits) + ".json";
}

std::optional<ClipReport> FinishedClips::find(const std::string& identity, const std::string& output) const {
  const auto text = read_file(path_of(identity), kRecordBytesMax);
  if (!text) return std::nullopt;
  auto finished = decode_finished(*text);
  const std::string state = output_state(output);
  if (!finished || state.empty() || state != finished->output_state) return std::nullopt;
  return std::move(finished->report);
}

Status FinishedClips::record(const std::string& identity, const FinishedClip& clip) const {
  const std::string text = encode_finished(clip);
  KILN_TRY(write_file_atomic(*files_, path_of(identity), std::as_bytes(std::span(text))));
  return files_->sync_directory(folder_);
}

void FinishedClips::forget(const std::string& identity) const { (void)files_->remove_file(path_of(identity)); }

}  // namespace kiln::cli
