// How facts get into the journal: appended to a queue, and written by a thread of the journal's own.
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "coordinator/journal/journal_impl.h"

namespace kiln::coordinator {
namespace {

std::size_t bytes_of(const std::vector<std::string>& facts) {
  std::size_t bytes = 0;
  for (const std::string& fact : facts) bytes += fact.size();
  return bytes;
}

}  // namespace

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
      stats_.prunes_full += *pruned == kPruneRowsMax ? 1U : 0U;
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
    stats_.commits_full += queue_.empty() ? 0U : 1U;
    const std::uint64_t prune_to = prune_to_;
    lock.unlock();
    const auto started = Clock::now();
    const auto pruned = write(batches, prune_to);
    finish(batches, prune_to, pruned, std::chrono::duration<double>(Clock::now() - started).count());
    if (!pruned) return;
  }
}

void Journal::Impl::signal_event() const {
  const std::uint64_t one = 1;
  // Fails only when the counter is at its end, and then the descriptor is readable anyway.
  [[maybe_unused]] const ssize_t n = ::write(event_.get(), &one, sizeof one);
}

}  // namespace kiln::coordinator
