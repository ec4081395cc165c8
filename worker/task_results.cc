#include "worker/task_results.h"

#include <chrono>

#include "base/log.h"
#include "base/output_name.h"
#include "sharding/package/package_inputs.h"
#include "worker/image_archive.h"
#include "worker/lane_host.h"
#include "worker/tile_choice.h"

namespace kiln::worker {
namespace {

constexpr double kMicrosPerSecond = 1e6;
constexpr double kMicrosPerMs = 1e3;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Error no_result() { return make_error(ErrorCode::kInternal, "a task ended without a result"); }

}  // namespace

Result<net::TaskResult> TaskResultStore::store(const TaskRun& run) {
  if (std::holds_alternative<net::ProbeSpec>(run.assign.spec)) return store_probe(run);
  if (std::holds_alternative<net::SegmentSpec>(run.assign.spec)) return store_segment(run);
  if (std::holds_alternative<net::JoinSpec>(run.assign.spec)) return store_join(run);
  return store_artifact(run);
}

Result<net::TaskResult> TaskResultStore::store_probe(const TaskRun& run) {
  if (!run.probe) return fail(no_result());
  const net::ProbeDone& done = *run.probe;
  net::ProbeResult out;
  out.frames = done.frames;
  out.width = done.width;
  out.height = done.height;
  out.duration_s = done.duration_s;
  out.pixel_format = done.pixel_format;
  out.output_pixel_format = done.output_pixel_format;
  out.output_width = done.output_width;
  out.output_height = done.output_height;
  out.media_tools = done.ffmpeg_version;
  for (const std::string& warning : done.warnings) out.warnings.push_back(store_.without_grants(warning));
  const auto& spec = std::get<net::ProbeSpec>(run.assign.spec);
  KILN_TRY_ASSIGN(out.description, store_.put_text(done.clip, run.assign.write_query));
  if (spec.source.is_shot()) {
    ShotChoices shot = choose_for_shot(*run.files.generator, spec.source.shot, spec.dtypes);
    out.tiles = std::move(shot.choices);
    out.no_tiles_reason = std::move(shot.reason);
    return out;
  }
  TileChoices tiles = choose_tiles(
      *run.files.package, {{static_cast<int>(done.height), static_cast<int>(done.width), done.planes_bytes},
                           {static_cast<int>(done.output_height), static_cast<int>(done.output_width), done.output_planes_bytes},
                           spec.budgets_bytes,
                           spec.card_budgets_bytes});
  out.tiles = std::move(tiles.tiles);
  out.no_tiles_reason = std::move(tiles.reason);
  return out;
}

// The segment stays here as well: whoever joins may be this host.
Result<net::TaskResult> TaskResultStore::store_segment(const TaskRun& run) {
  if (!run.segment) return fail(no_result());
  const auto& spec = std::get<net::SegmentSpec>(run.assign.spec);
  const net::SegmentDone& done = *run.segment;
  if (done.frames != spec.last - spec.first) {
    return fail(make_error(ErrorCode::kInternal, "the lane rendered {} frames, {} were due", done.frames,
                           spec.last - spec.first));
  }
  const auto start = std::chrono::steady_clock::now();
  net::SegmentResult out;
  KILN_TRY_ASSIGN(out.segment, store_.put_file(run.segment_path(), run.assign.write_query));
  out.first = spec.first;
  out.last = spec.last;
  out.frames_compiled = done.frames_compiled;
  out.decode_s = done.decode_s;
  out.model_s = done.model_s;
  out.encode_s = done.encode_s;
  out.wall_s = done.wall_s;
  out.wait_decode_s = done.wait_decode_s;
  out.wait_encode_s = done.wait_encode_s;
  out.decode_core_s = done.decode_core_s;
  out.model_core_s = done.model_core_s;
  out.encode_core_s = done.encode_core_s;
  out.frame_hashes = done.frame_hashes;
  out.settings_digest = done.settings_digest;
  out.first_frame_s = done.first_frame_s;
  out.card = done.card;
  // The graph ran in its place, and nobody else would say so. A store that was away is told from one that lost it by the
  // compile task, which finds it again.
  out.artifact_lost = spec.artifact_ready && spec.executor != "uncompiled" && !run.files.artifact;
  if (const auto kept = cache_.adopt(out.segment, run.segment_path()); !kept) log::debug("{}", kept.error().message);
  out.transfer_s = run.files.seconds + seconds_since(start);
  return out;
}

Result<net::TaskResult> TaskResultStore::store_join(const TaskRun& run) {
  if (!run.join) return fail(no_result());
  net::JoinResult out;
  out.frames = run.join->frames;
  for (const std::string& warning : run.join->warnings) out.warnings.push_back(store_.without_grants(warning));
  std::string path = run.output_path();
  if (is_output_pattern(path)) {
    path = run.archive_path();
    KILN_TRY(write_image_archive(run.output_folder(), path));
  }
  std::optional<Digest> known;
  if (!run.join->sha256.empty()) {
    KILN_TRY_ASSIGN(known, Digest::from_hex(run.join->sha256));
  }
  KILN_TRY_ASSIGN(out.output, store_.put_file(path, run.assign.write_query, known));
  return out;
}

Result<net::TaskResult> TaskResultStore::store_artifact(const TaskRun& run) {
  const auto& spec = std::get<net::CompileSpec>(run.assign.spec);
  std::shared_ptr<const ReadyArtifact> artifact = run.files.artifact;
  if (!artifact) {
    if (!run.library) return fail(no_result());
    const auto& manifest = run.files.package->manifest;
    const auto inputs =
        sharding::package_inputs(manifest, manifest.graphs[spec.graph].dtype, spec.height, spec.width);
    KILN_TRY_ASSIGN(const auto artifacts, store_.artifacts(cache::Fence{run.assign.task, run.assign.attempt.value}));
    MakerContext maker = maker_;
    maker.store = artifacts.get();
    KILN_TRY_ASSIGN(artifact, make_artifact(maker, run.files.compile_key, inputs, *run.library));
  }
  net::CompileResult out;
  out.key = spec.key;
  out.from_store = artifact->source == ArtifactSource::kStore;
  out.compile_s = static_cast<double>(artifact->manifest.compile_us) / kMicrosPerSecond;
  out.compile_peak_bytes = artifact->manifest.compile_peak_rss_bytes;
  out.run_peak_bytes = artifact->manifest.run_peak_bytes;
  out.run_ms = static_cast<double>(artifact->manifest.run_us) / kMicrosPerMs;
  out.library = {artifact->manifest.content_sha256.hex(), artifact->manifest.content_bytes};
  return out;
}

net::BlobRef TaskResultStore::store_log(const TaskRun& run) {
  std::string text = fmt::format("worker {}, {}, task {}, attempt {}: {}\n", worker_,
                                 is_compile(run.slot) ? "compile child" : fmt::format("lane {}", run.slot.value),
                                 run.assign.task, run.assign.attempt.value, run.outcome.empty() ? "done" : run.outcome);
  if (!run.log_path.empty()) {
    const LogTail log = read_log(run.log_path, run.log_begin, kAttemptLogBytesMax);
    if (log.cut_bytes > 0) {
      ++logs_cut_;
      text += fmt::format("(the first {} bytes of what its lane said are left out)\n", log.cut_bytes);
    }
    text += log.text;
  }
  const auto stored = store_.put_text(store_.without_grants(std::move(text)), {});
  if (stored) return *stored;
  log::debug("task {}: its log is not stored: {}", run.assign.task, stored.error().message);
  return {};
}

}  // namespace kiln::worker
