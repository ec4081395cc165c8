// Inside coordinator/journal/ alone: the parts of Journal.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "coordinator/journal/append_queue.h"
#include "coordinator/journal/journal.h"
#include "coordinator/journal/journal_database.h"

namespace kiln::coordinator {

// `mutex_` guards queue, failure and counters, `database_mutex_` the database; neither is held while the other is
// taken, and none while calling out.
class Journal::Impl {
 public:
  Impl(FileSystem& files, JournalOptions options, std::unique_ptr<FileLock> lock, JournalDatabase database, UniqueFd event)
      : options_(std::move(options)), lock_(std::move(lock)), snapshots_(files, options_.folder), event_(std::move(event)),
        database_(std::move(database)),
        queue_(options_.queue_facts_max, options_.queue_bytes_max) {}
  ~Impl() { stop(); }

  Status start();
  Result<SnapshotSearch> newest_snapshot(std::uint64_t below);
  Status flush();
  Status check() {
    const std::lock_guard guard(database_mutex_);
    return database_.check();
  }
  Status read_all(std::uint64_t from, const std::function<Status(std::uint64_t, std::string_view)>& on_fact);
  Result<std::vector<std::string>> read_some(std::uint64_t from, std::size_t facts_max);
  Result<std::uint64_t> append(const std::vector<std::string>& facts);
  Status write_snapshot(std::uint64_t sequence, std::string_view bytes);

  std::uint64_t durable() const { return durable_.load(std::memory_order_acquire); }
  int event_fd() const { return event_.get(); }
  void clear_event() const;
  Status status() const {
    const std::lock_guard guard(mutex_);
    return status_locked();
  }
  JournalStats stats() const {
    const std::lock_guard guard(mutex_);
    return stats_;
  }

 private:
  void stop();
  void run();
  Status status_locked() const { return failure_ ? Status(fail(*failure_)) : Status(); }
  Result<std::uint64_t> write(const std::vector<FactBatch>& batches, std::uint64_t prune_to);
  void finish(const std::vector<FactBatch>& batches, std::uint64_t prune_to, const Result<std::uint64_t>& pruned,
              double seconds);
  void signal_event() const;

  const JournalOptions options_;
  const std::unique_ptr<FileLock> lock_;
  JournalSnapshots snapshots_;  // of the thread that writes snapshots
  std::uint64_t whole_snapshot_ = 0;  // the newest that was read or written here; same thread
  const UniqueFd event_;

  std::mutex database_mutex_;
  JournalDatabase database_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable room_;
  AppendQueue queue_;
  std::uint64_t appended_ = 0;
  std::uint64_t prune_to_ = 0;  // 0: nothing to remove
  bool stopping_ = false;
  std::optional<Error> failure_;
  JournalStats stats_;

  std::atomic<std::uint64_t> durable_ = 0;
  std::thread writer_;
};

}  // namespace kiln::coordinator
