#include "base/metrics_text.h"
#include "coordinator/farm_server.h"
#include "net/farm_names.h"

namespace kiln::coordinator {
namespace {

void jobs(MetricsText& text, const FarmState& state) {
  std::uint64_t waiting = 0;
  std::uint64_t running = 0;
  std::uint64_t open = 0;
  for (const auto& [name, job] : state.durable.jobs) {
    open += job.ended ? 0U : 1U;
    waiting += job.waiting.size();
    running += job.running.size();
  }
  text.gauge("kiln_jobs_kept", "Jobs that the coordinator knows", state.durable.jobs.size());
  text.gauge("kiln_jobs_open", "Jobs that have not ended", open);
  text.gauge("kiln_tasks_waiting", "Tasks that could be assigned", waiting);
  text.gauge("kiln_tasks_running", "Tasks that lanes work on", running);
}

void workers(MetricsText& text, const FarmState& state) {
  std::uint64_t connected = 0;
  std::uint64_t lanes = 0;
  std::uint64_t busy = 0;
  for (const auto& [name, session] : state.live.workers) {
    connected += session.connected ? 1U : 0U;
    for (const auto& [id, lane] : session.lanes) {
      ++lanes;
      busy += lane.idle() ? 0U : 1U;
    }
  }
  text.gauge("kiln_workers_connected", "Workers that are heard", connected);
  text.gauge("kiln_lanes", "Lanes of all workers", lanes);
  text.gauge("kiln_lanes_busy", "Lanes that work", busy);
  text.gauge("kiln_lanes_set_aside", "Lanes that failed too often", state.durable.set_aside.size());
}

}  // namespace

std::string farm_metrics(const FarmState& state, const FarmServerStats& stats, const net::SocketStats& socket,
                         std::size_t gate) {
  MetricsText text;
  jobs(text, state);
  workers(text, state);
  const Counters& counters = state.live.counters;
  text.counter("kiln_assignments_total", "Tasks handed out", counters.assignments);
  text.counter("kiln_assignments_again_total", "Tasks told again because the worker did not have them", counters.assignments_again);
  text.counter("kiln_results_total", "Results taken", counters.results);
  text.counter("kiln_late_messages_total", "Messages of an older attempt or session", counters.late_messages);
  text.counter("kiln_requests_refused_total", "Requests of clients that could not be taken", counters.requests_refused);
  text.counter("kiln_jobs_full_total", "Jobs that were refused because too many are kept", counters.jobs_full);
  text.counter("kiln_workers_lost_total", "Workers that fell silent", counters.workers_lost);
  text.counter("kiln_workers_refused_total", "Workers that were not let in", counters.workers_refused);
  text.counter("kiln_waiters_full_total", "Clients answered at once because too many wait", counters.waiters_full);
  text.counter("kiln_waiters_held_back_total", "Times that more waiting clients were due than one pass answers",
               counters.waiters_held_back);
  text.counter("kiln_attempts_forgotten_total", "Tries that are told of no more, since too many came after", counters.attempts_forgotten);
  text.counter("kiln_segments_lengthened_total", "Segments that had to be longer than the rules say", counters.segments_lengthened);
  text.counter("kiln_budgets_left_out_total", "Sizes of lanes' memory that no tiles were planned for, since there were too many",
               counters.budgets_left_out);
  text.counter("kiln_speeds_forgotten_total", "Speeds of lanes that are not remembered, since they rendered too many kinds of clips",
               counters.speeds_forgotten);
  text.counter("kiln_artifacts_lost_total", "Artifacts that the store had no more and that are made again", counters.artifacts_lost);
  text.counter("kiln_artifacts_given_up_total", "Of these, told of too often by one job to be made once more", counters.artifacts_given_up);
  for (const auto& [kind, rule] : state.rules.failures) {
    const auto found = counters.failures.find(kind);
    text.counter("kiln_failures_total", "Failed attempts by class", found == counters.failures.end() ? 0 : found->second,
                 {{"class", to_string(kind)}});
  }
  text.counter("kiln_messages_total", "Messages read", stats.messages);
  text.counter("kiln_messages_malformed_total", "Messages that are none of ours", stats.malformed);
  text.counter("kiln_messages_wrong_version_total", "Messages of a peer of another version", stats.wrong_version);
  text.counter("kiln_messages_wrong_role_total", "Messages that the sender's key may not send", stats.wrong_role);
  text.counter("kiln_messages_unsent_total", "Messages whose peer was gone or did not read", stats.unsent);
  text.counter("kiln_messages_queued_total", "Messages that waited because the peer's queue was full", stats.queued);
  text.counter("kiln_messages_too_large_total", "Answers that no message holds, and were refused", stats.too_large);
  text.counter("kiln_gate_full_total", "Turns in which nothing was read because the disk was behind", stats.gate_full);
  text.gauge("kiln_gate_effects", "Effects that wait for the disk", gate);
  text.counter("kiln_socket_dropped_total", "Messages dropped at the door", socket.dropped_unchecked, {{"why", "unchecked"}});
  text.counter("kiln_socket_dropped_total", "", socket.dropped_not_allowed, {{"why", "not_allowed"}});
  text.counter("kiln_socket_dropped_total", "", socket.dropped_check_down, {{"why", "check_down"}});
  text.counter("kiln_socket_dropped_total", "", socket.dropped_too_large, {{"why", "too_large"}});
  text.counter("kiln_socket_dropped_total", "", socket.dropped_malformed, {{"why", "malformed"}});
  text.counter("kiln_socket_dropped_total", "", socket.dropped_chosen_identity, {{"why", "chosen_identity"}});
  text.counter("kiln_socket_receives_cut_total", "Times that so many were dropped in a row that other work came first", socket.receives_cut);
  text.counter("kiln_handshakes_failed_total", "Connections that did not pass the key check", socket.handshakes_failed);
  return text.text();
}

}  // namespace kiln::coordinator
