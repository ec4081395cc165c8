#include "coordinator/process_metrics.h"

#include "base/metrics_text.h"

namespace kiln::coordinator {

std::string process_metrics(const ProcessStats& stats) {
  MetricsText text;
  const JournalStats& journal = stats.journal;
  text.counter("kiln_journal_facts_total", "Facts written", journal.facts);
  text.counter("kiln_journal_bytes_total", "Bytes of facts written", journal.bytes);
  text.counter("kiln_journal_commits_total", "Times that the disk was waited for", journal.transactions);
  text.gauge_seconds("kiln_journal_commit_seconds_max", "The longest of them", journal.commit_s_max);
  text.counter("kiln_journal_queue_full_total", "Appends that waited because the disk was behind", journal.queue_full);
  text.counter("kiln_journal_pruned_total", "Facts removed since snapshots hold them", journal.pruned);
  text.counter("kiln_journal_commits_full_total", "Commits that left facts for the next one", journal.commits_full);
  text.counter("kiln_journal_prunes_full_total", "Commits that removed as many facts as one may", journal.prunes_full);
  text.counter("kiln_keys_denied_total", "Connections with a key that is not on the allow-list", stats.zap.denied);
  text.counter("kiln_keys_denied_unnamed_total", "Of these, with keys beyond those that the log names", stats.zap.unnamed);
  text.counter("kiln_snapshots_total", "Snapshots written", stats.snapshots.written);
  text.counter("kiln_snapshots_failed_total", "Snapshots that could not be made or written", stats.snapshots.failed);
  text.gauge("kiln_snapshot_bytes", "Bytes of the last one", stats.snapshots.bytes);
  text.gauge("kiln_snapshot_sequence", "The last fact in the newest one", stats.snapshots.sequence);
  text.gauge_seconds("kiln_snapshot_seconds", "What the last one took, on a thread of its own", stats.snapshots.seconds);
  text.gauge("kiln_farm_store_up", "Whether the store answered when it was last asked", stats.store.up ? 1 : 0);
  text.counter("kiln_farm_store_checks_total", "Times that it was asked", stats.store.checks);
  text.counter("kiln_farm_store_checks_failed_total", "Times that it did not answer, or was not ready", stats.store.failures);
  text.gauge("kiln_pins_waiting", "Jobs whose needs the store has not been told yet", stats.pins_waiting);
  text.counter("kiln_pins_failed_total", "Times that telling it failed", stats.pins_failed);
  append_metrics(text, stats.http);
  return text.text();
}

}  // namespace kiln::coordinator
