// Why a lane, a worker or a job has to wait. What decides who gets what, and what people are told, are the same words.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/core/farm_turn.h"
#include "sharding/compile_settings.h"
#include "sharding/encoder_choice.h"

namespace kiln::coordinator {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr std::size_t kDigestDigits = 8;

// As a person would name it: "cpu/avx512/1 thread", "sm_90/NVIDIA H100".
std::string class_text(const net::LaneClass& kind) {
  std::string out = kind.arch;
  if (!kind.isa.empty()) out += "/" + kind.isa;
  if (!kind.device_name.empty()) out += "/" + kind.device_name;
  if (kind.threads > 0) out += fmt::format("/{} thread{}", kind.threads, kind.threads == 1 ? "" : "s");
  return out;
}

std::string toolchain_text(const net::LaneClass& kind) {
  if (kind.toolchain.empty()) return " without a toolchain";
  return fmt::format(" with toolchain {}", kind.toolchain.substr(0, kDigestDigits));
}

// Whoever compiles for a class does so for any number of threads, and for every card of its arch, unless code is chosen by
// trying it on the card.
net::LaneClass compile_class(net::LaneClass kind, bool autotuned) {
  kind.threads = 0;
  if (!autotuned) kind.device_name.clear();
  return kind;
}

bool encodes_with(const net::LaneOffer& offer, const std::string& encoder, const std::string& pixel_format) {
  const auto& has = offer.card.encoders;
  return std::find(has.begin(), has.end(), sharding::card_encoder_words(encoder, pixel_format)) != has.end();
}

}  // namespace

std::pair<std::string, std::string> class_texts(const net::LaneClass& own, const net::LaneClass& wanted) {
  std::pair<std::string, std::string> out{class_text(own), class_text(wanted)};
  if (out.first == out.second && own.toolchain != wanted.toolchain) {
    out.first += toolchain_text(own);
    out.second += toolchain_text(wanted);
  }
  return out;
}

std::string compile_class_text(const net::CompileWanted& wanted) {
  return class_text(compile_class(wanted.kind, is_autotuned(wanted.settings)));
}

bool is_autotuned(const net::CompileSettings& settings) {
  const auto known = sharding::compile_settings_of(settings);
  return known && sharding::is_autotuned(*known);
}

std::string lane_text(const LaneName& name) {
  if (name.lane == net::kCompileLane) return fmt::format("{}'s compiler", name.worker);
  if (net::is_compile_lane(name.lane)) return fmt::format("{}'s compiler of lane {}", name.worker, net::lane_of_compiler(name.lane).value);
  return fmt::format("{} lane {}", name.worker, name.lane.value);
}

std::vector<LaneId> compile_places(const WorkerSession& session, const net::LaneClass& kind, bool autotuned) {
  std::set<LaneId> out;
  if (!session.hello.compiles || kind.toolchain.empty()) return {};
  for (const auto& [id, lane] : session.lanes) {
    if (compile_class(lane.offer.kind, autotuned) != compile_class(kind, autotuned)) continue;
    out.insert(lane.offer.kind.arch == "cpu" ? net::kCompileLane : net::compile_lane(id));
  }
  return {out.rbegin(), out.rend()};  // that of the first lane first
}

std::vector<LaneId> free_compile_places(const Turn& turn, const net::CompileWanted& wanted, const WorkerSession& session) {
  const auto at_once = static_cast<std::size_t>(std::max(1, session.hello.compiles_at_once));
  if (session.compiles.size() >= at_once || no_builder_reason(turn, wanted, session)) return {};
  std::vector<LaneId> places = compile_places(session, wanted.kind, is_autotuned(wanted.settings));
  std::erase_if(places, [&](LaneId place) { return session.compiles.contains(place); });
  return places;
}

bool waits_for_compile(const Turn& turn, const LaneName& name) {
  const WorkerSession* session = turn.worker(name.worker);
  return session != nullptr && session->waiting_lanes.contains(name.lane);
}

std::optional<std::string> unusable_reason(const Turn& turn, const JobRecord& job, const LaneName& name,
                                           const LaneLive& lane) {
  const WorkerSession& session = *turn.worker(name.worker);
  if (!session.connected) return fmt::format("{} is silent", name.worker);
  if (session.leaving) return fmt::format("{} is leaving", name.worker);
  if (turn.durable().draining.contains(name.worker)) return fmt::format("{} is being drained (kiln drain {} --off)", name.worker, name.worker);
  if (!lane.up) return std::string("it is starting");
  if (const auto aside = turn.durable().set_aside.find(name); aside != turn.durable().set_aside.end()) {
    return fmt::format("set aside until its worker is started again: {}", aside->second);
  }
  if (generates(job) && !lane.offer.generates) return std::string("it renders no shots");
  if (!job.request.pool.empty() && job.request.pool != session.hello.pool) {
    return fmt::format("{} is not in the pool {} (kiln worker --pool {})", name.worker, job.request.pool, job.request.pool);
  }
  return std::nullopt;
}

std::optional<std::string> unfit_reason(const Turn& turn, const JobRecord& job, const ClipRecord& clip,
                                        const LaneName&, const LaneLive& lane) {
  const net::ClipPlanned& plan = *clip.plan;
  if (lane.offer.kind != plan.kind && job.request.numerics != "tolerant") {
    const auto [own, wanted] = class_texts(lane.offer.kind, plan.kind);
    return fmt::format("it is of the class {}; the clip is rendered by {} alone, so that its frames have the same bits", own,
                       wanted);
  }
  if (!computes_in(lane.offer.kind, plan.tile.dtype)) {
    return fmt::format("it does not compute in {}, which the clip is rendered in", plan.tile.dtype);
  }
  if (!plan.encoder.empty() && !encodes_with(lane.offer, plan.encoder, clip.probe->output_pixel_format)) {
    return fmt::format("its card has no {} for {}, which the clip is encoded with", plan.encoder, clip.probe->output_pixel_format);
  }
  const bool buffers_count = is_card(lane.offer.kind) && plan.tile.card_bytes > 0;
  std::uint64_t needs = buffers_count ? plan.tile.card_bytes : plan.tile.activation_bytes;
  const auto learned =
      turn.durable().envelopes.find({lane.offer.kind, plan.tile.graph_sha256, plan.tile.height, plan.tile.width});
  if (learned != turn.durable().envelopes.end()) needs = std::max(needs, learned->second);
  if (lane.offer.budget_bytes >= needs) return std::nullopt;
  return fmt::format("it holds {:.0f} MiB, the {} {:.0f} MiB", static_cast<double>(lane.offer.budget_bytes) / kMiB,
                     generates(job) ? "shot needs" : "clip's tiles need", static_cast<double>(needs) / kMiB);
}

// What one lane cannot read its worker's others cannot either.
bool failed_at(const TaskRecord& task, const LaneName& name) {
  if (task.failed_on.contains(name)) return true;
  return task.failures.contains(net::FailureKind::kBadInput) &&
         std::any_of(task.failed_on.begin(), task.failed_on.end(), [&](const LaneName& one) { return one.worker == name.worker; });
}

bool other_lane_may_take(const Turn& turn, const JobRecord& job, const TaskRecord& task) {
  for (const auto& [worker, session] : turn.live().workers) {
    for (const auto& [id, lane] : session.lanes) {
      const LaneName name{worker, id};
      if (failed_at(task, name) || unusable_reason(turn, job, name, lane)) continue;
      if (task.kind != net::TaskKind::kSegment || !unfit_reason(turn, job, job.clips[task.clip], name, lane)) return true;
    }
  }
  return false;
}

std::optional<std::string> no_builder_reason(const Turn& turn, const net::CompileWanted& wanted, const WorkerSession& session) {
  const net::WorkerName& name = session.hello.worker;
  if (!session.connected) return fmt::format("{} is silent", name);
  if (!session.hello.compiles) return fmt::format("{} does not compile (that needs Python with torch, and g++)", name);
  if (session.leaving) return fmt::format("{} is leaving", name);
  if (turn.durable().draining.contains(name)) return fmt::format("{} is being drained", name);
  if (session.lanes.empty()) return fmt::format("{} has no lanes", name);
  const bool autotuned = is_autotuned(wanted.settings);
  if (!compile_places(session, wanted.kind, autotuned).empty()) return std::nullopt;
  const auto [own, other] = class_texts(compile_class(session.lanes.begin()->second.offer.kind, autotuned),
                                        compile_class(wanted.kind, autotuned));
  return fmt::format("{} compiles for {}, not for {}", name, own, other);
}

std::optional<std::string> blocked_reason(const Turn& turn, const JobRecord& job) {
  if (job.paused) return std::string("it is paused (kiln resume)");
  const net::JobName& name = job.request.job;
  for (const net::JobName& needed : job.request.depends_on) {
    const JobRecord* other = turn.job(needed);
    if (other == nullptr) {
      return fmt::format("it waits for {}, which was removed, and never starts; kiln cancel {}, and submit it again without {}",
                         needed, name, needed);
    }
    if (!other->ended) return fmt::format("it waits for {}", needed);
    if (*other->ended != net::JobState::kDone) {
      return fmt::format("it waits for {}, which {}; kiln retry {} tries that again, kiln cancel {} gives this up", needed,
                         *other->ended == net::JobState::kFailed ? "failed" : "was cancelled", needed, name);
    }
  }
  return std::nullopt;
}

}  // namespace kiln::coordinator
