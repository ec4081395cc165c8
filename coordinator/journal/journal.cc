#include "coordinator/journal/journal.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/atomic_file.h"
#include "coordinator/journal/journal_impl.h"

namespace kiln::coordinator {
namespace {

constexpr std::size_t kReadRows = 4'096;
constexpr std::size_t kReadBytes = 8U << 20U;

}  // namespace

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

void Journal::Impl::clear_event() const {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(event_.get(), &count, sizeof count);
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
