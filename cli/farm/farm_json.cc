// Answers as JSON: the names of net/farm_replies.h, times in seconds, sizes in bytes.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <numeric>

#include "cli/farm/farm_output.h"
#include "net/farm_limits.h"

namespace kiln::cli {
namespace {

using nlohmann::json;

json of(const net::BlobRef& blob) { return {{"sha256", blob.sha256}, {"bytes", blob.bytes}}; }

json of(const net::JobSummary& job) {
  return {{"job", job.job},
          {"title", job.title},
          {"owner", job.owner},
          {"pool", job.pool},
          {"priority", job.priority},
          {"state", to_string(job.state)},
          {"reason", job.reason},
          {"frames_total", job.frames_total},
          {"frames_done", job.frames_done},
          {"submitted_s", job.submitted_s},
          {"ended_s", job.ended_s},
          {"exit", job.exit}};
}

json of(const net::LaneClass& kind) {
  return {{"arch", kind.arch}, {"isa", kind.isa}, {"device_name", kind.device_name}, {"threads", kind.threads}};
}

json of(const net::CardMemory& card) {
  if (card == net::CardMemory()) return nullptr;
  return {{"predicted_bytes", card.predicted_bytes},
          {"context_bytes", card.context_bytes},
          {"held_bytes", card.held_bytes},
          {"activation_bytes", card.activation_bytes},
          {"allocated_peak_bytes", card.allocated_peak_bytes},
          {"reserved_peak_bytes", card.reserved_peak_bytes},
          {"used_bytes", card.used_bytes}};
}

json of(const net::SegmentResult& one) {
  return {{"first", one.first},     {"last", one.last},         {"frames_compiled", one.frames_compiled},
          {"decode_s", one.decode_s}, {"model_s", one.model_s},   {"encode_s", one.encode_s},
          {"wall_s", one.wall_s},     {"transfer_s", one.transfer_s}, {"segment", of(one.segment)},
          {"first_frame_s", one.first_frame_s}, {"card", of(one.card)}};
}

json of(const net::ClipStatus& clip) {
  json segments = json::array();
  for (const net::SegmentResult& one : clip.segments) segments.push_back(of(one));
  return {{"source", clip.source},     {"output", clip.output},     {"width", clip.width},
          {"height", clip.height},     {"frames", clip.frames},     {"duration_s", clip.duration_s},
          {"artifact_key", clip.artifact_key}, {"segments", segments}, {"result", of(clip.result)},
          {"warnings", clip.warnings},
          {"lane_class", clip.tile_height == 0 ? json(nullptr) : of(clip.kind)},
          {"tile_width", clip.tile_width}, {"tile_height", clip.tile_height}, {"tiles", clip.tiles}};
}

json of(const net::JobStatus& status) {
  json out = of(status.summary);
  out["clips"] = json::array();
  for (const net::ClipStatus& clip : status.clips) out["clips"].push_back(of(clip));
  out["lanes"] = json::array();
  for (const net::LaneShare& lane : status.lanes) {
    out["lanes"].push_back({{"worker", lane.worker}, {"lane", lane.lane.value}, {"segments", lane.segments}, {"frames", lane.frames},
                            {"decode_s", lane.decode_s}, {"model_s", lane.model_s}, {"encode_s", lane.encode_s},
                            {"wait_decode_s", lane.wait_decode_s}, {"wait_encode_s", lane.wait_encode_s},
                            {"decode_core_s", lane.decode_core_s}, {"model_core_s", lane.model_core_s},
                            {"encode_core_s", lane.encode_core_s}});
  }
  out["revision"] = status.revision;
  out["running_tasks"] = status.running_tasks;
  out["compiles"] = status.compiles;
  out["compile_failures"] = status.compile_failures;
  out["compile_s"] = status.compile_s;
  out["store_hits"] = status.store_hits;
  out["attempts_failed"] = status.attempts_failed;
  out["lanes_lost"] = status.lanes_lost;
  out["results_dropped"] = status.results_dropped;
  out["compiling"] = status.compiling;
  return out;
}

json of(const net::JobList& list) {
  json out = json::array();
  for (const net::JobSummary& job : list.jobs) out.push_back(of(job));
  return {{"jobs", out}};
}

json of(const net::CardSpeed& speed) {
  if (speed == net::CardSpeed()) return nullptr;
  return {{"float32_tflops", speed.float32_tflops},
          {"tf32_tflops", speed.tf32_tflops},
          {"float16_tflops", speed.float16_tflops},
          {"bfloat16_tflops", speed.bfloat16_tflops},
          {"fp8_tflops", speed.fp8_tflops},
          {"memory_bytes_per_s", speed.memory_bytes_per_s},
          {"to_device_bytes_per_s", speed.to_device_bytes_per_s},
          {"to_host_bytes_per_s", speed.to_host_bytes_per_s}};
}

json of(const net::CardFacts& card) {
  if (card.uuid.empty()) return nullptr;
  return {{"index", card.index},
          {"uuid", card.uuid},
          {"pci", card.pci},
          {"driver", card.driver},
          {"cuda", card.cuda},
          {"memory_bytes", card.memory_bytes},
          {"free_bytes", card.free_bytes},
          {"reserved_bytes", card.reserved_bytes},
          {"fp8", card.fp8},
          {"link_generation", card.link_generation},
          {"link_width", card.link_width},
          {"numa_node", card.numa_node},
          {"speed", of(card.speed)},
          {"context_bytes", card.context_bytes},
          {"encoders", card.encoders}};
}

json of(const net::LaneStatus& lane) {
  return {{"lane", lane.offer.lane.value},
          {"arch", lane.offer.kind.arch},
          {"isa", lane.offer.kind.isa},
          {"device_name", lane.offer.kind.device_name},
          {"threads", lane.offer.kind.threads},
          {"toolchain", lane.offer.kind.toolchain},
          {"budget_bytes", lane.offer.budget_bytes},
          {"card", of(lane.offer.card)},
          {"state", lane.state},
          {"why", lane.why},
          {"task", lane.task},
          {"frames_per_second", lane.frames_per_second},
          {"failures", lane.failures}};
}

json of(const net::WorkerList& list) {
  json out = json::array();
  for (const net::WorkerStatus& worker : list.workers) {
    json lanes = json::array();
    for (const net::LaneStatus& lane : worker.lanes) lanes.push_back(of(lane));
    out.push_back({{"worker", worker.worker}, {"connected", worker.connected}, {"draining", worker.draining},
                   {"cores", worker.cores}, {"memory_bytes", worker.memory_bytes}, {"heard_s_ago", worker.heard_s_ago},
                   {"pool", worker.pool}, {"compiles", worker.compiles}, {"compiling", worker.compiling}, {"lanes", lanes}});
  }
  return {{"workers", out}};
}

json of(const net::TaskLogs& logs) {
  json out = json::array();
  for (const net::AttemptLog& one : logs.attempts) {
    out.push_back({{"attempt", one.attempt}, {"worker", one.worker}, {"lane", one.lane.value}, {"outcome", one.outcome}, {"log", of(one.log)}});
  }
  return {{"attempts", out}};
}

json of(const net::FarmStatus& status) {
  return {{"jobs_waiting", status.jobs_waiting}, {"jobs_running", status.jobs_running}, {"jobs_ended", status.jobs_ended},
          {"tasks_waiting", status.tasks_waiting}, {"tasks_running", status.tasks_running}, {"workers", status.workers},
          {"lanes", status.lanes}, {"lanes_set_aside", status.lanes_set_aside}, {"version", status.version},
          {"uptime_s", status.uptime_s}};
}

json of(const net::Explanation& explanation) { return {{"lines", explanation.lines}}; }
json of(const net::Done& done) { return {{"note", done.note}}; }
json of(const net::Refused& refused) { return {{"error", {{"message", refused.error.message}}}}; }
json of(const net::Grants& grants) { return {{"store", grants.store_url}, {"expires_unix_s", grants.expires_unix_s}}; }
json of(const net::Trace& trace) { return json::parse(chrome_trace(trace)); }

}  // namespace

std::string to_json(const net::ClientReply& reply) {
  const json out = std::visit([](const auto& body) { return of(body); }, reply);
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string logs_json(const net::TaskLogs& logs, const net::AttemptLog* shown, const std::string& text) {
  json out = of(logs);
  out["attempt"] = shown == nullptr ? json(nullptr) : json(shown->attempt);
  out["text"] = shown == nullptr ? json(nullptr) : json(text);
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

namespace {

// Viewers want the stretches of one row apart, or one in another. A lane has its next segment before the end of the one at work, and
// chores beside both: each stretch is put into the first of the lane's rows that is free then.
std::vector<std::uint64_t> trace_rows(const std::vector<net::Span>& spans) {
  std::vector<std::size_t> order(spans.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return spans[a].start_s < spans[b].start_s; });
  std::map<std::pair<std::string, LaneId>, std::vector<double>> ends;  // of the last stretch in each row
  std::vector<std::uint64_t> rows(spans.size());
  for (const std::size_t i : order) {
    std::vector<double>& lane = ends[{spans[i].worker, spans[i].lane}];
    const auto free = std::find_if(lane.begin(), lane.end(), [&](double end_s) { return end_s <= spans[i].start_s; });
    rows[i] = static_cast<std::uint64_t>(free - lane.begin());
    if (free == lane.end()) {
      lane.push_back(spans[i].end_s);
    } else {
      *free = spans[i].end_s;
    }
  }
  return rows;
}

}  // namespace

std::string chrome_trace(const net::Trace& trace) {
  constexpr double kMicros = 1e6;
  json events = json::array();
  std::vector<std::string> workers;
  const std::vector<std::uint64_t> rows = trace_rows(trace.spans);
  for (std::size_t i = 0; i < trace.spans.size(); ++i) {
    const net::Span& span = trace.spans[i];
    auto found = std::find(workers.begin(), workers.end(), span.worker);
    if (found == workers.end()) {
      found = workers.insert(workers.end(), span.worker);
      events.push_back({{"ph", "M"}, {"name", "process_name"}, {"pid", workers.size()}, {"args", {{"name", span.worker}}}});
    }
    events.push_back({{"ph", "X"},
                      {"name", span.name},
                      {"cat", "task"},
                      {"pid", (found - workers.begin()) + 1},
                      {"tid", span.lane.value + rows[i] * net::kLanesMax},
                      {"ts", span.start_s * kMicros},
                      {"dur", (span.end_s - span.start_s) * kMicros},
                      {"args", {{"task", span.task}, {"attempt", span.attempt}, {"outcome", span.outcome}}}});
  }
  return json{{"traceEvents", events}, {"displayTimeUnit", "ms"}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace kiln::cli
