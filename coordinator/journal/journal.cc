#include "coordinator/journal/journal.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/atomic_file.h"
#include "coordinator/journal/append_queue.h"
#include "coordinator/journal/journal_database.h"

namespace kiln::coordinator {
namespace {

constexpr std::size_t kReadRows = 4'096;
constexpr std::size_t kReadBytes = 8U << 20U;

std::size_t bytes_of(const std::vector<std::string>& facts) {
  std::size_t bytes = 0;
  for (const std::string& fact : facts) bytes += fact.size();
  return bytes;
}

}  // namespace

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

Status Journal::Impl::start() {
  KILN_TRY_ASSIGN(const auto ends, database_.first_and_last());
  appended_ = ends.second;
  durable_ = ends.second;
  writer_ = std::thread([this] { run(); });
  return {};
}

void Journal::Impl::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (writer_.joinable()) writer_.join();
}

void Journal::Impl::signal_event() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is at its end, and then the descriptor is readable anyway.
  [[maybe_unused]] const ssize_t n = ::write(event_.get(), &one, sizeof one);
}

void Journal::Impl::clear_event() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event_.get(), &count, sizeof count);
}

Result<std::uint64_t> Journal::Impl::append(const std::vector<std::string>& facts) {
  for (const std::string& fact : facts) {
    if (fact.size() > kJournalFactBytesMax) {
      return fail(make_error(ErrorCode::kInvalidArgument, "a fact has {} bytes; at most {}", fact.size(),
                             kJournalFactBytesMax));
    }
  }
  const std::size_t bytes = bytes_of(facts);
  std::unique_lock lock(mutex_);
  KILN_TRY(status_locked());
  if (facts.empty()) return appended_;
  if (!queue_.has_room(facts.size(), bytes)) {
    ++stats_.queue_full;
    room_.wait(lock, [&] { return queue_.has_room(facts.size(), bytes) || failure_; });
    KILN_TRY(status_locked());
  }
  queue_.push({appended_ + 1, facts, bytes});
  appended_ += facts.size();
  work_.notify_one();
  return appended_;
}

// Returns how many old facts were removed.
Result<std::uint64_t> Journal::Impl::write(const std::vector<FactBatch>& batches, std::uint64_t prune_to) {
  const std::lock_guard guard(database_mutex_);
  const auto fill = [&]() -> Result<std::uint64_t> {
    for (const FactBatch& batch : batches) {
      for (std::size_t i = 0; i < batch.facts.size(); ++i) {
        KILN_TRY(database_.insert(batch.first + i, batch.facts[i]));
      }
    }
    std::uint64_t pruned = 0;
    if (prune_to > 0) {
      KILN_TRY_ASSIGN(pruned, database_.prune(prune_to, kPruneRowsMax));
    }
    KILN_TRY(database_.commit());
    return pruned;
  };
  KILN_TRY(database_.begin());
  auto pruned = fill();
  if (!pruned) database_.rollback();
  return pruned;
}

void Journal::Impl::finish(const std::vector<FactBatch>& batches, std::uint64_t prune_to,
                           const Result<std::uint64_t>& pruned, double seconds) {
  std::uint64_t facts = 0;
  std::uint64_t bytes = 0;
  for (const FactBatch& batch : batches) {
    facts += batch.facts.size();
    bytes += batch.bytes;
  }
  {
    const std::lock_guard guard(mutex_);
    if (!pruned) {
      failure_ = pruned.error();
    } else {
      // A newer snapshot may have asked for more meanwhile.
      if (*pruned < kPruneRowsMax && prune_to_ == prune_to) prune_to_ = 0;
      stats_.batches += batches.size();
      stats_.facts += facts;
      stats_.bytes += bytes;
      stats_.pruned += *pruned;
      ++stats_.transactions;
      stats_.largest_transaction = std::max(stats_.largest_transaction, facts);
      stats_.commit_s += seconds;
      stats_.commit_s_max = std::max(stats_.commit_s_max, seconds);
    }
  }
  if (pruned && facts > 0) {
    const std::lock_guard guard(mutex_);  // flush() looks at it under the lock
    durable_.store(batches.back().last(), std::memory_order_release);
  }
  room_.notify_all();
  if (!pruned || facts > 0) signal_event();
}

// The writer: everything that is queued goes into one transaction. After an error nothing is written any more.
void Journal::Impl::run() {
  using Clock = std::chrono::steady_clock;
  while (true) {
    std::unique_lock lock(mutex_);
    work_.wait(lock, [&] { return !queue_.empty() || prune_to_ > 0 || stopping_; });
    if (queue_.empty() && stopping_) return;
    const std::vector<FactBatch> batches = queue_.take(kTransactionFactsMax);
    const std::uint64_t prune_to = prune_to_;
    lock.unlock();
    const auto started = Clock::now();
    const auto pruned = write(batches, prune_to);
    finish(batches, prune_to, pruned, std::chrono::duration<double>(Clock::now() - started).count());
    if (!pruned) return;
  }
}

Result<SnapshotSearch> Journal::Impl::newest_snapshot(std::uint64_t below) {
  KILN_TRY_ASSIGN(SnapshotSearch search, snapshots_.find_newest(below));
  whole_snapshot_ = search.newest ? search.newest->sequence : 0;
  if (search.newest) {
    if (search.newest->sequence > durable()) {
      return fail(journal_damaged(options_.folder, fmt::format("a snapshot holds facts up to {}, the journal up to {}",
                                                               search.newest->sequence, durable())));
    }
  }
  return search;
}

Status Journal::Impl::flush() {
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return durable() >= appended_ || failure_; });
  return status_locked();
}

Status Journal::Impl::read_all(std::uint64_t from,
                               const std::function<Status(std::uint64_t, std::string_view)>& on_fact) {
  const std::uint64_t last = durable();
  from = std::max<std::uint64_t>(from, 1);
  while (from <= last) {
    std::vector<StoredFact> facts;
    {
      const std::lock_guard guard(database_mutex_);
      KILN_TRY_ASSIGN(facts, database_.read(from, kReadRows, kReadBytes));
    }
    if (facts.empty()) return fail(journal_damaged(options_.folder, fmt::format("fact {} is missing", from)));
    for (const StoredFact& fact : facts) KILN_TRY(on_fact(fact.sequence, fact.body));
    from += facts.size();
  }
  return {};
}

Result<std::vector<std::string>> Journal::Impl::read_some(std::uint64_t from, std::size_t facts_max) {
  std::vector<std::string> bodies;
  if (from > durable()) return bodies;
  std::vector<StoredFact> facts;
  {
    const std::lock_guard guard(database_mutex_);
    KILN_TRY_ASSIGN(facts, database_.read(from, facts_max, kReadBytes));
  }
  if (facts.empty()) return fail(journal_damaged(options_.folder, fmt::format("fact {} is missing", from)));
  bodies.reserve(facts.size());
  for (StoredFact& fact : facts) bodies.push_back(std::move(fact.body));
  return bodies;
}

Status Journal::Impl::write_snapshot(std::uint64_t sequence, std::string_view bytes) {
  KILN_TRY(status());
  if (sequence == 0 || sequence > durable() || sequence <= whole_snapshot_) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "a snapshot of fact {} is of no use: the newest has {}, and facts are durable up to {}",
                           sequence, whole_snapshot_, durable()));
  }
  KILN_TRY(snapshots_.write(sequence, bytes));
  const std::uint64_t before_it = std::exchange(whole_snapshot_, sequence);
  {
    const std::lock_guard guard(mutex_);
    ++stats_.snapshots;
    prune_to_ = before_it;
  }
  work_.notify_one();
  return snapshots_.keep_only(sequence, before_it);
}

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::open(FileSystem& files, JournalOptions options) {
  KILN_TRY(make_directories(files, options.folder, 0700));
  auto lock = files.lock(options.folder + "/lock");
  if (!lock) return fail(std::move(lock).error().with_context("journal"));
  KILN_TRY(sweep_temp_files(files, options.folder));
  KILN_TRY_ASSIGN(JournalDatabase database,
                  JournalDatabase::open({options.folder + "/journal.db", options.vfs, options.pages_max, options.check}));
  KILN_TRY(files.sync_directory(options.folder));
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return fail(errno_error(errno, "eventfd"));
  auto impl = std::make_unique<Impl>(files, std::move(options), std::move(*lock), std::move(database), std::move(event));
  KILN_TRY(impl->start());
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

Result<SnapshotSearch> Journal::newest_snapshot(std::uint64_t below) { return impl_->newest_snapshot(below); }
Status Journal::check() { return impl_->check(); }
Status Journal::flush() { return impl_->flush(); }
Status Journal::read_all(std::uint64_t from, const std::function<Status(std::uint64_t, std::string_view)>& on_fact) {
  return impl_->read_all(from, on_fact);
}
Result<std::vector<std::string>> Journal::read_some(std::uint64_t from, std::size_t facts_max) {
  return impl_->read_some(from, facts_max);
}
Result<std::uint64_t> Journal::append(const std::vector<std::string>& facts) { return impl_->append(facts); }
std::uint64_t Journal::durable_sequence() const { return impl_->durable(); }
int Journal::durable_fd() const { return impl_->event_fd(); }
void Journal::clear_durable_fd() { impl_->clear_event(); }
Status Journal::status() const { return impl_->status(); }
Status Journal::write_snapshot(std::uint64_t sequence, std::string_view bytes) {
  return impl_->write_snapshot(sequence, bytes);
}
JournalStats Journal::stats() const { return impl_->stats(); }

}  // namespace kiln::coordinator
