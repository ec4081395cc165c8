#include "tests/net/farm/fact_samples.h"

namespace kiln::net::test {
namespace {

constexpr double kNoon = 1'767'225'600.25;

std::string hash(char digit) { return std::string(64, digit); }
BlobRef blob(char digit, std::uint64_t bytes) { return {hash(digit), bytes}; }

LaneClass a_class() {
  LaneClass kind;
  kind.arch = "cpu";
  kind.isa = "avx2";
  kind.threads = 4;
  kind.toolchain = hash('7');
  return kind;
}

TileChoice a_tile() {
  TileChoice tile;
  tile.budget_bytes = 2ULL << 30U;
  tile.graph = 1;
  tile.graph_sha256 = hash('8');
  tile.height = 180;
  tile.width = 320;
  tile.activation_bytes = 700'000'000;
  tile.computed_pixels = 62'208;
  return tile;
}

JobAccepted a_job() {
  JobAccepted fact;
  fact.request.job = "job-1";
  fact.request.title = "Stra\xc3\x9f" "enbahn";
  fact.request.owner = "ada";
  fact.request.pool = "night";
  fact.request.priority = -3;
  fact.request.executor = "compiled";
  fact.request.segment_frames = 48;
  fact.request.depends_on = {"job-0"};
  fact.request.variants = {{"large tiles", 0}, {"small tiles", 1ULL << 30U}};
  fact.request.package.files = {{"manifest.toml", blob('1', 900)}, {"weights/network.safetensors", blob('2', 2'490'000)}};
  fact.request.manifest = "format_version = 1\n";
  ClipRequest clip;
  clip.source.path = "clip.mp4";
  clip.source.blob = blob('3', 1'234'567);
  clip.output.file_name = "large.mkv";
  clip.output.codec = "hevc";
  clip.output.quality = 18;
  clip.output.preset = "slow";
  clip.output.pixel_format = "yuv420p10le";
  clip.output.scale = "2";
  fact.request.clips = {clip};
  fact.first_task = 41;
  fact.at_s = kNoon;
  return fact;
}

ClipPlanned a_plan() {
  ClipPlanned fact;
  fact.job = "job-1";
  fact.clip = 2;
  fact.kind = a_class();
  fact.tile = a_tile();
  fact.variant = "small tiles";
  fact.artifact_key = hash('9');
  fact.join_task = 44;
  fact.reason = "2 of 3 lanes hold it";
  return fact;
}

ResultAccepted a_result() {
  SegmentResult segment;
  segment.first = 48;
  segment.last = 50;
  segment.frames_compiled = 1;
  segment.decode_s = 0.25;
  segment.model_s = 3.5;
  segment.encode_s = 0.5;
  segment.wall_s = 4.0;
  segment.wait_decode_s = 0.125;
  segment.wait_encode_s = 0.0625;
  segment.transfer_s = 0.75;
  segment.frame_hashes = std::string("0123456789abcdef\x00\x01\x02\x03\xff\xfe\xfd\xfc" "ghijklmn", 32);
  segment.settings_digest = "crf18";
  segment.segment = blob('4', 52'000);
  return {45, Attempt{2}, segment, blob('5', 300), kNoon + 9};
}

}  // namespace

std::vector<std::pair<std::string, Fact>> fact_samples() {
  return {
      {"job_accepted", a_job()},
      {"clip_planned", a_plan()},
      {"compile_wanted", CompileWanted{43, hash('9'), a_class(), "job-1", 1, 180, 320}},
      {"assigned", Assigned{45, Attempt{2}, TaskKind::kSegment, "job-1", 2, 48, 50, "render-07.b", LaneId{3}, kNoon + 5,
                            "fastest free lane"}},
      {"result_accepted", a_result()},
      {"attempt_ended", AttemptEnded{45, Attempt{1}, {FailureKind::kCrash, "internal", "killed by signal 11", 1},
                                     blob('6', 120), true, kNoon + 4}},
      {"job_controlled", JobControlled{"job-1", JobVerb::kPause, kNoon + 10}},
      {"job_ended", JobEnded{"job-1", JobState::kFailed, "three lanes failed", kNoon + 11}},
      {"lane_set_aside", LaneSetAside{"render-07.b", LaneId{3}, true, "three crashes in a row"}},
      {"worker_drained", WorkerDrained{"render-07.b", true}},
      {"envelope_learned", EnvelopeLearned{a_class(), hash('8'), 180, 320, 3ULL << 30U}},
  };
}

std::vector<std::pair<std::string, Fact>> later_samples() {
  ResultAccepted with_cores = a_result();
  auto& segment = std::get<SegmentResult>(with_cores.result);
  segment.decode_core_s = 0.5;
  segment.model_core_s = 3.25;
  segment.encode_core_s = 1.75;
  return {{"result_accepted.cores", with_cores}};
}

}  // namespace kiln::net::test
