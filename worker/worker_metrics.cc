#include "worker/worker_metrics.h"

#include <utility>

#include "base/metrics_text.h"
#include "net/farm_names.h"

namespace kiln::worker {
namespace {

constexpr std::chrono::milliseconds kStopDeadline{1'000};

void add_lanes(MetricsText& text, const WorkerState& state) {
  std::uint64_t up = 0;
  std::uint64_t starting = 0;
  std::uint64_t down = 0;
  std::uint64_t released = 0;
  std::uint64_t busy = 0;
  for (const auto& [id, slot] : state.slots) {
    if (is_compile(id)) continue;
    up += slot.status == SlotStatus::kUp ? 1U : 0U;
    starting += slot.status == SlotStatus::kStarting ? 1U : 0U;
    down += slot.status == SlotStatus::kDown ? 1U : 0U;
    released += slot.status == SlotStatus::kReleased ? 1U : 0U;
    busy += slot.works.empty() ? 0U : 1U;
  }
  text.gauge("kiln_worker_lanes", "Lanes by state", up, {{"state", "up"}});
  text.gauge("kiln_worker_lanes", "", starting, {{"state", "starting"}});
  text.gauge("kiln_worker_lanes", "", down, {{"state", "down"}});
  text.gauge("kiln_worker_lanes", "", released, {{"state", "released"}});
  text.gauge("kiln_worker_lanes_busy", "Lanes with a task", busy);
}

void add_tasks(MetricsText& text, const WorkerState& state) {
  const WorkerCounters& counters = state.counters;
  text.counter("kiln_worker_assignments_total", "Tasks that came", counters.assignments);
  text.counter("kiln_worker_tasks_total", "Tasks that ended, by outcome", counters.results, {{"outcome", "done"}});
  for (const auto kind : {net::FailureKind::kOutOfMemory, net::FailureKind::kCrash, net::FailureKind::kHang,
                          net::FailureKind::kError, net::FailureKind::kLostLane, net::FailureKind::kBadInput,
                          net::FailureKind::kArtifactMismatch, net::FailureKind::kStoreFull}) {
    const auto found = counters.failed.find(kind);
    text.counter("kiln_worker_tasks_total", "", found == counters.failed.end() ? 0 : found->second,
                 {{"outcome", to_string(kind)}});
  }
  text.counter("kiln_worker_superseded_total", "Tasks of which a later attempt came", counters.superseded);
  text.counter("kiln_worker_turned_down_full_total", "Tasks that came for a lane with as many as it may have",
               counters.turned_down_full);
  text.counter("kiln_worker_late_messages_total", "Messages of tasks that are not at work here", counters.late_messages);
  text.gauge("kiln_worker_reports_waiting", "Outcomes that the coordinator has not taken yet", state.reports.size());
  text.counter("kiln_worker_reports_again_total", "Outcomes that were told again", counters.reports_again);
  text.counter("kiln_worker_lanes_lost_total", "Lanes that died", counters.lanes_lost);
  text.counter("kiln_worker_lanes_hung_total", "Lanes that gave no sign of life and were killed", counters.lanes_hung);
  text.counter("kiln_worker_lanes_stuck_total", "Lanes that did not stop when told, and were killed", counters.lanes_stuck);
  text.counter("kiln_worker_ended_forgotten_total", "Tasks that ended too long ago to be remembered", counters.ended_forgotten);
  text.gauge("kiln_worker_connected", "Whether the coordinator has let it in",
             state.session.state == SessionState::kWelcomed ? 1 : 0);
  text.counter("kiln_worker_hellos_total", "Times that it introduced itself", counters.hellos);
}

void add_transfers(MetricsText& text, const WorkerState& state, const WorkerStats& stats) {
  text.counter("kiln_worker_fetched_bytes_total", "Bytes from the store", stats.traffic.fetched_bytes);
  text.counter("kiln_worker_stored_bytes_total", "Bytes to the store", stats.traffic.stored_bytes);
  text.counter("kiln_worker_given_bytes_total", "Of these, in files that the store took as they were", stats.traffic.given_bytes);
  text.counter("kiln_worker_transfers_failed_total", "Transfers that did not end well", stats.traffic.fetches_failed,
               {{"way", "fetch"}});
  text.counter("kiln_worker_transfers_failed_total", "", stats.traffic.stores_failed, {{"way", "store"}});
  text.counter("kiln_worker_transfers_again_total", "Transfers of tasks that were tried again", state.counters.transfers_again);
  text.counter("kiln_worker_transfers_given_up_total", "Transfers of tasks that failed for too long", state.counters.transfers_given_up);
  text.counter("kiln_worker_transfers_full_total", "Transfers that found too many waiting", stats.transfers_full);
  text.counter("kiln_worker_connections_not_kept_total", "Connections to the store that were closed since enough of them wait",
               stats.traffic.connections_not_kept);
  text.gauge("kiln_worker_transfers_waiting", "Transfers that wait for a thread", stats.transfers_waiting);
  text.gauge("kiln_worker_cache_bytes", "Bytes of fetched files", stats.cache.used_bytes);
  text.gauge("kiln_worker_cache_budget_bytes", "Bytes that they may have", stats.cache_budget_bytes);
  text.counter("kiln_worker_cache_hits_total", "Files that were here", stats.cache.hits);
  text.counter("kiln_worker_cache_misses_total", "Files that were not", stats.cache.misses);
  text.counter("kiln_worker_cache_evictions_total", "Files removed to make room", stats.cache.evictions);
  text.counter("kiln_worker_cache_over_budget_total", "Times that files in use alone were more than the budget",
               stats.cache.over_budget);
  text.counter("kiln_worker_cache_damaged_total", "Files of an earlier run that were not what their name says",
               stats.cache.damaged);
}

void add_logs(MetricsText& text, const WorkerStats& stats) {
  text.counter("kiln_worker_logs_cut_total", "Logs that were too long: of attempts, whose begin is left out; of lanes, begun anew",
               stats.attempt_logs_cut, {{"of", "attempt"}});
  text.counter("kiln_worker_logs_cut_total", "", stats.lane_logs_emptied, {{"of", "lane"}});
  text.counter("kiln_worker_reasons_untold_total", "Reasons of a lost connection that the log does not tell, since it told too many",
               stats.reasons_untold);
}

// What each card's memory is for, as it is counted on.
void add_cards(MetricsText& text, const WorkerState& state) {
  const char* help = "Bytes of a card's memory: all that may be held, and what lane and compile child are expected to hold";
  for (const auto& [id, card] : state.cards) {
    const std::string lane = std::to_string(id.value);
    text.gauge("kiln_worker_card_bytes", std::exchange(help, ""), card.room().bytes, {{"lane", lane}, {"entry", "room"}});
    text.gauge("kiln_worker_card_bytes", "", card.lane_bytes(), {{"lane", lane}, {"entry", "lane"}});
    text.gauge("kiln_worker_card_bytes", "", card.child_bytes(), {{"lane", lane}, {"entry", "compile_child"}});
  }
  const WorkerCounters& counters = state.counters;
  text.counter("kiln_worker_compile_turns_total", "Compiles that had to wait for their card, by how that ended", counters.compile_turns,
               {{"end", "taken"}});
  text.counter("kiln_worker_compile_turns_total", "", counters.compile_turns_given_up, {{"end", "given_up"}});
  text.counter("kiln_worker_compile_turns_wait_milliseconds_total", "Time that those taken waited",
               static_cast<std::uint64_t>(counters.compile_turns_waited.count()));
  text.counter("kiln_worker_compiles_held_back_total", "Compiles that waited since as many ran as the host carries",
               counters.compiles_held_back);
}

// What is fetched or opened anew when it is wanted again.
void add_let_go(MetricsText& text, const WorkerStats& stats) {
  constexpr const char* kName = "kiln_worker_let_go_total";
  text.counter(kName, "What gave way to others that were wanted", stats.packages_let_go, {{"of", "package"}});
  text.counter(kName, "", stats.artifacts_let_go, {{"of", "artifact"}});
  text.counter(kName, "", stats.clips_let_go, {{"of", "clip"}});
}

void add_weights(MetricsText& text, const WorkerStats& stats) {
  constexpr const char* kBytes = "kiln_worker_weights_bytes_total";
  text.counter(kBytes, "Bytes of weights that lanes loaded", stats.weights_copied_bytes, {{"way", "copied"}});
  text.counter(kBytes, "", stats.weights_received_bytes, {{"way", "broadcast"}});
  constexpr const char* kGroups = "kiln_worker_weight_groups_total";
  text.counter(kGroups, "Groups of lanes that load weights together", stats.groups.completed, {{"end", "complete"}});
  text.counter(kGroups, "", stats.groups.given_up, {{"end", "given_up"}});
  text.counter("kiln_worker_weight_groups_late_total", "Words of lanes about a group that was over", stats.groups.late_messages);
}

}  // namespace

std::string worker_metrics(const WorkerState& state, const WorkerStats& stats) {
  MetricsText text;
  add_lanes(text, state);
  add_tasks(text, state);
  add_transfers(text, state, stats);
  add_logs(text, stats);
  add_let_go(text, stats);
  add_weights(text, stats);
  add_cards(text, state);
  const CompileCounts& compiles = stats.compiles;
  text.counter("kiln_worker_compiles_total", "Artifacts by what became of them", compiles.made, {{"outcome", "made"}});
  text.counter("kiln_worker_compiles_total", "", compiles.found, {{"outcome", "found"}});
  text.counter("kiln_worker_compiles_total", "", compiles.failed, {{"outcome", "failed"}});
  text.counter("kiln_worker_compile_kills_total", "Compile children that were ended, by the bound that they crossed",
               compiles.over_deadline, {{"why", "deadline"}});
  text.counter("kiln_worker_compile_kills_total", "", compiles.over_memory, {{"why", "memory"}});
  text.counter("kiln_worker_compile_milliseconds_total", "Time spent making artifacts",
               static_cast<std::uint64_t>(compiles.spent.count()));
  text.counter("kiln_worker_socket_dropped_total", "Messages of the coordinator that were dropped", stats.socket.dropped_too_large,
               {{"why", "too_large"}});
  text.counter("kiln_worker_socket_dropped_total", "", stats.socket.dropped_malformed, {{"why", "malformed"}});
  text.counter("kiln_worker_socket_queue_full_total", "Messages that were not sent since the coordinator does not read",
               stats.socket.refused_queue_full);
  text.counter("kiln_worker_socket_receives_cut_total", "Times that so many were dropped in a row that other work came first",
               stats.socket.receives_cut);
  return text.text();
}

Result<std::unique_ptr<WorkerDoor>> WorkerDoor::open(const std::string& listen) {
  net::HttpServerOptions options;
  KILN_TRY_ASSIGN(options.listen, net::parse_host_port(listen));
  options.threads = 1;
  std::unique_ptr<WorkerDoor> door(new WorkerDoor);
  KILN_TRY_ASSIGN(door->server_, net::HttpServer::start(options, [self = door.get()](const net::HttpRequest& request) {
    return self->answer(request);
  }));
  return door;
}

WorkerDoor::~WorkerDoor() {
  if (server_) server_->stop(kStopDeadline);
}

std::string WorkerDoor::address() const { return server_->bound().text(); }

void WorkerDoor::publish(std::string metrics, std::string not_ready) {
  published_.renew({std::move(metrics), std::move(not_ready), std::chrono::steady_clock::now()});
}

net::HttpDecision WorkerDoor::answer(const net::HttpRequest& request) const {
  if (!request.reads()) return net::problem(405, ErrorCode::kUnimplemented, "only GET is answered here");
  const auto published = published_.latest();
  if (request.path == "/healthz") {
    const bool turns = std::chrono::steady_clock::now() - published->at < kHealthyWithin;
    if (turns) return net::json_response(200, "{\"healthy\":true}");
    return net::problem(503, ErrorCode::kUnavailable, "the worker's loop hangs");
  }
  if (request.path == "/readyz") {
    if (published->not_ready.empty()) return net::json_response(200, "{\"ready\":true}");
    return net::problem(503, ErrorCode::kUnavailable, published->not_ready);
  }
  if (request.path == "/metrics") {
    net::HttpResponse response;
    response.headers = {{"content-type", std::string(kMetricsContentType)}};
    response.body = published->text;
    return response;
  }
  return net::problem(404, ErrorCode::kNotFound, "there is /healthz, /readyz and /metrics");
}

}  // namespace kiln::worker
