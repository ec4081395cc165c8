// A probed clip gets its plan: the class of lanes, the tiles and the artifact, fixed for all of its frames.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "base/output_name.h"
#include "coordinator/core/farm_turn.h"
#include "coordinator/core/host_load.h"
#include "sharding/clip_placement.h"
#include "sharding/compile_key.h"
#include "sharding/encoder_choice.h"
#include "sharding/package/package_inputs.h"
#include "sharding/precision.h"
#include "sharding/speed_guess.h"

namespace kiln::coordinator {
namespace {

// The lanes that a job may use, numbered by class.
struct Candidates {
  std::vector<sharding::LaneFit> lanes;
  std::vector<int> encoder_threads;  // of each lane
  std::vector<std::vector<std::string>> encoders;  // of each lane's card
  std::vector<net::LaneClass> kinds;
  std::vector<sharding::HostFit> hosts;
  std::map<net::LaneClass, const net::WorkerHello*> toolchains;
};

int kind_number(Candidates& candidates, const net::LaneClass& kind) {
  const auto found = std::find(candidates.kinds.begin(), candidates.kinds.end(), kind);
  if (found != candidates.kinds.end()) return static_cast<int>(found - candidates.kinds.begin());
  candidates.kinds.push_back(kind);
  return static_cast<int>(candidates.kinds.size()) - 1;
}

// Its fastest speed, and what the model took of the host then; of a frame of the clip, what its media take.
void add_speeds(const LaneLive& lane, const MediaCost* media, sharding::LaneFit& out) {
  std::string fastest;
  for (const auto& [key, known] : lane.frames_per_second) {
    if (known <= out.frames_per_second) continue;
    out.frames_per_second = known;
    fastest = key;
  }
  const auto model = lane.model_costs.find(fastest);
  if (media == nullptr || model == lane.model_costs.end()) return;
  out.media_core_seconds = media->decode_core_seconds + media->encode_core_seconds;
  out.encode_core_seconds = media->encode_core_seconds;
  out.model_core_seconds = model->second.core_seconds;
  out.model_frames_per_second = model->second.frames_per_second;
}

// What networks are mostly computed in on a card: float16, on older ones float32.
double matrix_rate(const net::CardSpeed& speed) { return speed.float16_tflops > 0.0 ? speed.float16_tflops : speed.float32_tflops; }

Candidates find_candidates(const Turn& turn, const JobRecord& job, std::uint32_t clip) {
  Candidates out;
  HostTable table(turn);
  const std::string media = media_key(job, clip);
  const bool autotuned = is_autotuned(job.request.compile);
  const auto precision = sharding::precision_from_string(job.request.precision).value_or(sharding::Precision::kAuto);
  for (const auto& [name, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      if (unusable_reason(turn, job, {name, id}, lane)) continue;
      sharding::LaneFit fit{fmt::format("{} lane {}", name, id.value), kind_number(out, lane.offer.kind),
                            lane.offer.budget_bytes, 0.0,
                            sharding::lane_dtypes(lane.offer.kind.arch, precision, package_dtypes(turn, job), taste_of(job))};
      fit.on_card = is_card(lane.offer.kind);
      fit.host = table.number_of(session);
      add_speeds(lane, table.media_cost(session, media), fit);
      fit.matrix_rate = matrix_rate(lane.offer.card.speed);
      out.lanes.push_back(std::move(fit));
      out.encoder_threads.push_back(lane.offer.encoder_threads);
      out.encoders.push_back(lane.offer.card.encoders);
      if (!compile_places(session, lane.offer.kind, autotuned).empty()) out.toolchains.try_emplace(lane.offer.kind, &session.hello);
    }
  }
  out.hosts = table.hosts();
  sharding::guess_speeds(out.lanes);
  return out;
}

std::vector<sharding::LearnedNeed> learned_needs(const Turn& turn, const Candidates& candidates,
                                                 const std::vector<net::TileChoice>& tiles) {
  std::vector<sharding::LearnedNeed> out;
  for (std::size_t kind = 0; kind < candidates.kinds.size(); ++kind) {
    for (std::size_t offer = 0; offer < tiles.size(); ++offer) {
      const auto found = turn.durable().envelopes.find(
          {candidates.kinds[kind], tiles[offer].graph_sha256, tiles[offer].height, tiles[offer].width});
      if (found != turn.durable().envelopes.end()) out.push_back({static_cast<int>(kind), offer, found->second});
    }
  }
  return out;
}

sharding::GraphDtype dtype_of(const std::string& name) {
  return sharding::graph_dtype_from_string(name).value_or(sharding::GraphDtype::kFloat32);
}

struct Choice {
  sharding::ClipPlacement placement;
  std::string variant;
};

std::optional<Choice> choose(const Turn& turn, const JobRecord& job, const ClipRecord& clip,
                             const Candidates& candidates, std::vector<std::string>& why) {
  sharding::ClipPlacementRequest request;
  request.lanes = candidates.lanes;
  request.hosts = candidates.hosts;
  request.mix_kinds = job.request.numerics == "tolerant";
  for (const net::TileChoice& tile : clip.probe->tiles) {
    request.offers.push_back({tile.activation_bytes, tile.computed_pixels, dtype_of(tile.dtype), tile.card_bytes});
  }
  request.learned = learned_needs(turn, candidates, clip.probe->tiles);
  std::vector<net::Variant> variants = job.request.variants;
  if (variants.empty()) variants.emplace_back();
  for (const net::Variant& variant : variants) {
    request.budget_bytes_max = variant.budget_bytes_max;
    why.clear();
    auto placement = sharding::place_clip(request, &why);
    if (placement) return Choice{std::move(*placement), variant.name};
  }
  return std::nullopt;
}

// What of a job's settings shapes code. Packages have one component, which is compiled as one whatever the job says of blocks.
net::CompileSettings code_settings(const net::CompileSettings& asked) {
  net::CompileSettings out;
  out.backend = asked.backend;
  const auto mode = sharding::compile_mode_from_string(asked.mode);
  out.mode = mode ? std::string(to_string(sharding::code_mode(*mode))) : asked.mode;
  out.dynamic = asked.dynamic;
  return out;
}

sharding::CompileKey artifact_key(const sharding::PackageManifest& manifest, const net::LaneClass& kind,
                                  const net::TileChoice& tile, const sharding::CompileSettings& settings,
                                  const net::ToolchainOffer& toolchain) {
  sharding::CompileKeyInputs inputs;
  inputs.settings = settings;
  inputs.graph_sha256 = tile.graph_sha256;
  inputs.bucket.inputs = sharding::package_inputs(manifest, dtype_of(tile.dtype), tile.height, tile.width);
  inputs.target = {kind.arch, sharding::isa_level_from_string(kind.isa).value_or(sharding::IsaLevel::kNone), {}};
  if (sharding::is_autotuned(inputs.settings)) inputs.target.device_name = kind.device_name;
  inputs.toolchain = {toolchain.torch_version, toolchain.torch_git, toolchain.cuda, toolchain.triton,
                      toolchain.compiler, toolchain.libc, toolchain.recipe_sha256};
  return sharding::make_compile_key(inputs);
}

// The job's own; a class without anybody who compiles for it stays uncompiled.
std::string want_artifact(Turn& turn, const net::JobName& name, const net::LaneClass& kind, const net::TileChoice& tile,
                          const net::WorkerHello* builder) {
  const JobRecord& job = *turn.job(name);
  if (job.request.executor == "uncompiled" || builder == nullptr || generates(job)) return {};
  const auto manifest = sharding::parse_package_manifest(job.request.manifest, "manifest.toml");
  const net::CompileSettings words = code_settings(job.request.compile);
  const auto settings = sharding::compile_settings_of(words);
  if (!manifest || !settings) return {};
  const std::string key = artifact_key(*manifest, kind, tile, *settings, builder->toolchain).hex();
  const auto known = turn.durable().artifacts.find(key);
  const bool wanted = known != turn.durable().artifacts.end() && known->second.state != ArtifactState::kFailed &&
                      (known->second.state == ArtifactState::kReady || turn.job(known->second.wanted.job) != nullptr);
  if (!wanted) {
    turn.record(net::CompileWanted{turn.durable().next_task, key, kind, name, tile.graph, tile.height, tile.width, tile.dtype,
                                   words});
  }
  return key;
}

// All segments of a clip are encoded alike: with as many threads as the least of its lanes has for that.
int encoder_threads(const Candidates& candidates, const sharding::ClipPlacement& placement) {
  int least = 0;
  for (const std::size_t lane : placement.lanes) {
    const int threads = candidates.encoder_threads[lane];
    if (least == 0 || threads < least) least = threads;
  }
  return least;
}

std::string codec_of(const net::OutputSettings& output) {
  if (!output.codec.empty()) return output.codec;
  return is_output_pattern(output.file_name) ? "png" : "h264";
}

// One encoder for all segments: that of the plan before, where there was one.
Result<std::string> choose_encoder(const JobRecord& job, std::uint32_t index, const Candidates& candidates,
                                   const sharding::ClipPlacement& placement) {
  const ClipRecord& clip = job.clips[index];
  if (clip.plan) return clip.plan->encoder;
  const net::OutputSettings& output = job.request.clips[index].output;
  sharding::EncoderQuestion question;
  KILN_TRY_ASSIGN(question.wish, sharding::encoder_wish_from_string(output.encoder));
  question.codec = codec_of(output);
  question.preset = output.preset;
  question.pixel_format = clip.probe->output_pixel_format;
  question.width = clip.probe->output_width;
  question.height = clip.probe->output_height;
  for (const std::size_t lane : placement.lanes) question.lanes.push_back({candidates.lanes[lane].name, candidates.encoders[lane]});
  KILN_TRY_ASSIGN(const auto choice, sharding::choose_encoder(question));
  return choice.encoder;
}

void plan_clip(Turn& turn, const net::JobName& name, std::uint32_t index) {
  JobRecord& job = *turn.job(name);
  const ClipRecord& clip = job.clips[index];
  const Candidates candidates = find_candidates(turn, job, index);
  if (candidates.lanes.empty()) return;  // none is here now; one may come
  std::vector<std::string> why;
  const auto choice = choose(turn, job, clip, candidates, why);
  const std::string& source = job.request.clips[index].source.path;
  if (!choice) {
    std::string reason = clip.probe->no_tiles_reason.empty() && !why.empty() ? why.front() : clip.probe->no_tiles_reason;
    // Without any tiles it is the clip or the package that does not do, whatever lanes there are.
    const ExitCode exit = clip.probe->tiles.empty() ? ExitCode::kInputRefused : ExitCode::kFailed;
    if (generates(job)) reason += "; fewer frames or a smaller size take less";
    return end_job(turn, name, net::JobState::kFailed, fmt::format("{}: no lane holds it; {}", source, reason),
                   static_cast<int>(exit));
  }
  const net::LaneClass kind = candidates.kinds[static_cast<std::size_t>(choice->placement.kind)];
  const net::TileChoice tile = clip.probe->tiles[choice->placement.offer];
  const int threads = clip.plan ? clip.plan->encoder_threads : encoder_threads(candidates, choice->placement);
  const auto builder = candidates.toolchains.find(kind);
  const std::string key =
      want_artifact(turn, name, kind, tile, builder == candidates.toolchains.end() ? nullptr : builder->second);
  if (key.empty() && job.request.executor == "compiled") {
    return end_job(turn, name, net::JobState::kFailed,
                   fmt::format("{}: nobody here compiles for {} lanes (a worker needs Python, torch and g++)", source,
                               kind.arch));
  }
  const auto encoder = choose_encoder(job, index, candidates, choice->placement);
  if (!encoder) return end_job(turn, name, net::JobState::kFailed, fmt::format("{}: {}", source, encoder.error().message));
  turn.record(net::ClipPlanned{name, index, kind, tile, choice->variant, key, turn.durable().next_task,
                               choice->placement.reason, threads, *encoder});
  turn.changed(name);
}

// An out-of-memory taught that no lane of the plan's class holds its tiles.
bool has_outgrown(const Turn& turn, const JobRecord& job, const ClipRecord& clip) {
  if (!clip.plan || clip.frames_done >= clip.probe->frames || turn.durable().envelopes.empty()) return false;
  for (const auto& [first, number] : clip.segments) {
    const TaskRecord* task = turn.task(number);
    if (task != nullptr && task->state == TaskState::kRunning) return false;  // its frames have the old plan's bits
  }
  bool any = false;
  for (const auto& [name, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      if (unusable_reason(turn, job, {name, id}, lane) || lane.offer.kind != clip.plan->kind) continue;
      if (!unfit_reason(turn, job, clip, {name, id}, lane)) return false;
      any = true;
    }
  }
  return any;
}

// Frames that are done have the plan's bits: the rest may only be planned anew when none is, or the job allows it.
void plan_again(Turn& turn, const net::JobName& name, std::uint32_t index) {
  const JobRecord& job = *turn.job(name);
  const ClipRecord& clip = job.clips[index];
  if (clip.frames_done == 0 || job.request.numerics == "tolerant") return plan_clip(turn, name, index);
  end_job(turn, name, net::JobState::kFailed,
          fmt::format("{}: its tiles of {}x{} fit on no lane any more (numerics = \"tolerant\" allows smaller ones)",
                      job.request.clips[index].source.path, clip.plan->tile.width, clip.plan->tile.height));
}

}  // namespace

bool is_card(const net::LaneClass& kind) { return kind.arch != "cpu"; }

ProbeBudgets probe_budgets(const Turn& turn, const JobRecord& job) {
  std::set<std::uint64_t> hosts;
  std::set<std::uint64_t> cards;
  for (const auto& [name, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      if (unusable_reason(turn, job, {name, id}, lane)) continue;
      (is_card(lane.offer.kind) ? cards : hosts).insert(lane.offer.budget_bytes);
    }
  }
  const auto bounded = [&](std::set<std::uint64_t>& budgets) {
    for (const net::Variant& variant : job.request.variants) {
      if (variant.budget_bytes_max > 0 && !budgets.empty()) budgets.insert(variant.budget_bytes_max);
    }
    for (; budgets.size() > kBudgetsMax; ++turn.live().counters.budgets_left_out) {
      budgets.erase(std::next(budgets.begin()));  // least and largest stay
    }
    return std::vector<std::uint64_t>(budgets.begin(), budgets.end());
  };
  return {bounded(hosts), bounded(cards)};
}

void plan_clips(Turn& turn) {
  std::vector<std::pair<net::JobName, std::uint32_t>> due;
  for (const auto& [name, job] : turn.durable().jobs) {
    if (job.ended || job.paused) continue;
    for (std::uint32_t i = 0; i < job.clips.size(); ++i) {
      const ClipRecord& clip = job.clips[i];
      if (clip.probe && (!clip.plan || has_outgrown(turn, job, clip))) due.emplace_back(name, i);
    }
  }
  for (const auto& [name, index] : due) {
    const JobRecord* job = turn.job(name);
    if (job == nullptr || job->ended) continue;
    if (job->clips[index].plan) {
      plan_again(turn, name, index);
    } else {
      plan_clip(turn, name, index);
    }
  }
}

}  // namespace kiln::coordinator
