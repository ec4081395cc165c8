#include "coordinator/saved_state.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <future>
#include <utility>

#include "base/log.h"
#include "coordinator/core/farm_step.h"
#include "coordinator/durable_snapshot.h"
#include "net/farm_codec.h"

namespace kiln::coordinator {
namespace {

using Clock = std::chrono::steady_clock;
constexpr unsigned kDecodeThreadsMax = 8;
constexpr int kNice = 10;
constexpr std::size_t kFactsAtOnce = 4'096;

unsigned decode_threads() { return std::clamp(std::thread::hardware_concurrency(), 1U, kDecodeThreadsMax); }

// The state of the newest snapshot that can be read; without one that of no fact.
// With one the file of facts is checked meanwhile: most of it is not read. Without one every fact is.
Result<SavedState> load_snapshot(Journal& journal, unsigned threads) {
  SavedState state;
  std::future<Status> checked;
  for (std::uint64_t below = kAnySequence;;) {
    KILN_TRY_ASSIGN(const SnapshotSearch search, journal.newest_snapshot(below));
    for (const std::string& line : search.damaged) log::warn("{}; the one before it is read", line);
    state.damaged += search.damaged.size();
    if (!search.newest) return state;
    if (threads > 1 && !checked.valid()) checked = std::async(std::launch::async, [&journal] { return journal.check(); });
    auto durable = decode_durable(search.newest->bytes, threads);
    if (durable) {
      state.durable = std::move(*durable);
      state.snapshot = state.sequence = search.newest->sequence;
      if (checked.valid()) KILN_TRY(checked.get());
      return state;
    }
    if (durable.error().exit == ExitCode::kVersionMismatch) return fail(std::move(durable).error());
    log::warn("the snapshot of fact {} is passed over: {}", search.newest->sequence, durable.error().message);
    ++state.damaged;
    below = search.newest->sequence;
  }
}

using Facts = Result<std::vector<net::Fact>>;

Facts read_facts(Journal& journal, std::uint64_t from, std::uint64_t last) {
  std::vector<net::Fact> facts;
  facts.reserve(last - from + 1);
  while (from <= last) {
    KILN_TRY_ASSIGN(const std::vector<std::string> bodies, journal.read_some(from, last - from + 1));
    for (const std::string& body : bodies) {
      auto fact = net::decode_fact(body);
      if (!fact) return fail(fact.error().with_context(fmt::format("fact {} of the journal", from)));
      facts.push_back(std::move(*fact));
      ++from;
    }
  }
  return facts;
}

// Reading and decoding is most of the work, and goes in any order: helpers do it, a few pieces ahead, while this thread
// applies what is ready. Without helpers it does everything itself.
Status apply_facts(Journal& journal, unsigned threads, SavedState& state) {
  const std::uint64_t last = journal.durable_sequence();
  const auto how = threads > 1 ? std::launch::async : std::launch::deferred;
  std::uint64_t next = state.sequence + 1;
  std::deque<std::future<Facts>> ahead;
  while (next <= last || !ahead.empty()) {
    if (next <= last && ahead.size() < threads) {
      const std::uint64_t end = std::min(last, next + kFactsAtOnce - 1);
      ahead.push_back(std::async(how, [&journal, next, end] { return read_facts(journal, next, end); }));
      next = end + 1;
      continue;
    }
    Facts facts = ahead.front().get();
    ahead.pop_front();
    if (!facts) return fail(facts.error());
    for (net::Fact& fact : *facts) apply_fact(state.durable, std::move(fact));
    state.sequence += facts->size();
  }
  return {};
}

Result<SavedState> load(Journal& journal, unsigned threads) {
  KILN_TRY_ASSIGN(SavedState state, load_snapshot(journal, threads));
  KILN_TRY(apply_facts(journal, threads, state));
  return state;
}

}  // namespace

Result<SavedState> load_state(Journal& journal) { return load(journal, decode_threads()); }

SnapshotKeeper::SnapshotKeeper(Journal& journal, std::uint64_t facts, std::uint64_t newest)
    : journal_(journal), facts_(facts) {
  stats_.sequence = newest;
  thread_ = std::thread([this] { work(); });
}

SnapshotKeeper::~SnapshotKeeper() { end_thread(); }

void SnapshotKeeper::end_thread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

SnapshotStats SnapshotKeeper::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void SnapshotKeeper::work() {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice);  // of this thread alone; the loop goes first
  std::uint64_t tried = stats().sequence;  // one that failed is tried again when it is due again
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, kSnapshotLook, [this] { return ending_; })) return;
    }
    const std::uint64_t durable = journal_.durable_sequence();
    if (durable < tried + facts_) continue;
    tried = durable;
    const Status status = save_from_disk();
    if (status) continue;
    log::error("no snapshot was written: {}", status.error().message);
    const std::lock_guard lock(mutex_);
    ++stats_.failed;
  }
}

Status SnapshotKeeper::save_from_disk() {
  KILN_TRY_ASSIGN(const SavedState state, load(journal_, 1));
  return save(state.durable, state.sequence);
}

Status SnapshotKeeper::save(const Durable& durable, std::uint64_t sequence) {
  const auto started = Clock::now();
  const std::string bytes = encode_durable(durable);
  KILN_TRY(journal_.write_snapshot(sequence, bytes));
  const std::lock_guard lock(mutex_);
  ++stats_.written;
  stats_.bytes = bytes.size();
  stats_.sequence = sequence;
  stats_.seconds = std::chrono::duration<double>(Clock::now() - started).count();
  return {};
}

Status SnapshotKeeper::finish(const Durable& durable) {
  end_thread();
  KILN_TRY(journal_.flush());
  const std::uint64_t last = journal_.durable_sequence();
  if (last < stats().sequence + kSnapshotFactsAtStop) return {};
  return save(durable, last);
}

}  // namespace kiln::coordinator
