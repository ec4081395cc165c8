// The coordinator's journal on disk: facts in the order in which they were appended, durable in groups, and snapshots
// that make old facts unnecessary. README.md of this folder holds the format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "coordinator/farm_journal.h"
#include "coordinator/journal/journal_snapshots.h"

namespace kiln::coordinator {

inline constexpr std::size_t kJournalQueueFactsMax = 100'000;
inline constexpr std::size_t kJournalQueueBytesMax = 64U << 20U;
inline constexpr std::size_t kJournalFactBytesMax = 32U << 20U;
inline constexpr std::size_t kTransactionFactsMax = 20'000;  // a commit's length is what an acknowledgement waits for
inline constexpr std::uint64_t kPruneRowsMax = 2'000;        // removed together with one commit
inline constexpr std::uint64_t kAnySequence = ~0ULL;

struct JournalOptions {
  std::string folder;  // made when missing
  std::size_t queue_facts_max = kJournalQueueFactsMax;
  std::size_t queue_bytes_max = kJournalQueueBytesMax;
  std::string vfs;              // of SQLite; empty: the system's
  std::uint64_t pages_max = 0;  // of 4 KiB; 0: no limit
  // The whole file when it is opened. Without it its reader calls check(), or reads every fact, which shows the same.
  bool check = true;
};

struct JournalStats {
  std::uint64_t batches = 0;
  std::uint64_t facts = 0;         // durable since it was opened
  std::uint64_t bytes = 0;
  std::uint64_t transactions = 0;
  std::uint64_t largest_transaction = 0;  // facts
  std::uint64_t queue_full = 0;    // appends that waited for room
  std::uint64_t pruned = 0;
  std::uint64_t commits_full = 0;  // that left facts for the next, with kTransactionFactsMax of their own
  std::uint64_t prunes_full = 0;   // commits that removed kPruneRowsMax old facts
  std::uint64_t snapshots = 0;
  double commit_s = 0.0;           // of all transactions
  double commit_s_max = 0.0;
};

// Appends come from one thread, snapshots from one (any) thread; a thread of its own writes. Open, restore with
// newest_snapshot() and read_all(), then append. Destroying it makes durable what was appended.
class Journal final : public FarmJournal {
 public:
  // One process at a time: kAborted (exit code 75) while another has it. Newer formats: kVersionMismatch, naming both.
  // Damage: exit code 74, and what to do.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(FileSystem& files, JournalOptions options);
  ~Journal() override;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // ---- what it holds ----
  [[nodiscard]] Status check();
  // The newest that is whole, of facts before `below`; of the thread that writes snapshots, or before it begins.
  [[nodiscard]] Result<SnapshotSearch> newest_snapshot(std::uint64_t below = kAnySequence);
  // Every fact from `from` on, in order. No lock is held while `on_fact` runs; its error ends the reading. Facts that
  // must be there and are not (removed for a snapshot that is gone) are damage.
  [[nodiscard]] Status read_all(std::uint64_t from,
                                const std::function<Status(std::uint64_t sequence, std::string_view fact)>& on_fact);

  // The facts from `from` on, at most `facts_max`; at least one, where there is any. The same errors.
  [[nodiscard]] Result<std::vector<std::string>> read_some(std::uint64_t from, std::size_t facts_max);

  // ---- FarmJournal ----
  // Waits for room while the queue is full.
  [[nodiscard]] Result<std::uint64_t> append(const std::vector<std::string>& facts) override;
  [[nodiscard]] std::uint64_t durable_sequence() const override;
  [[nodiscard]] int durable_fd() const override;
  void clear_durable_fd() override;
  [[nodiscard]] Status status() const override;
  // Waits until what was appended is durable.
  [[nodiscard]] Status flush();

  // What all facts up to `sequence` come to; these must be durable. Facts that neither this snapshot nor the one
  // before it needs are removed little by little, with later commits.
  [[nodiscard]] Status write_snapshot(std::uint64_t sequence, std::string_view bytes);
  [[nodiscard]] JournalStats stats() const;

 private:
  class Impl;
  explicit Journal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kiln::coordinator
