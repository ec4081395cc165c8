#include "coordinator/journal/journal_database.h"

#include <sqlite3.h>
#include <xxhash.h>

#include <utility>

#include "coordinator/journal/sqlite_handle.h"

namespace kiln::coordinator {
namespace {

constexpr int kCheckpointPages = 2'000;             // the write-ahead log goes into the file about every 8 MiB
constexpr std::int64_t kLogBytesKept = 64LL << 20U;  // a log that grew beyond is cut back

// Depends on the place as well, so that rows that changed places are found.
std::int64_t checksum(std::uint64_t sequence, std::string_view body) {
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(body.data(), body.size(), sequence));
}

std::string schema() {
  return fmt::format("BEGIN IMMEDIATE;"
                     "CREATE TABLE facts (sequence INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, body BLOB NOT NULL)"
                     " STRICT;"
                     "PRAGMA application_id = {};"
                     "PRAGMA user_version = {};"
                     "COMMIT;",
                     kJournalApplicationId, kJournalFormat);
}

// Nothing is written before the file is known to be ours or empty.
Result<bool> check_identity(sqlite3* connection, const std::string& path) {
  KILN_TRY_ASSIGN(const std::int64_t application, query_integer(connection, path, "PRAGMA application_id"));
  KILN_TRY_ASSIGN(const std::int64_t format, query_integer(connection, path, "PRAGMA user_version"));
  KILN_TRY_ASSIGN(const std::int64_t tables, query_integer(connection, path, "SELECT count(*) FROM sqlite_master"));
  if (application == 0 && format == 0 && tables == 0) return true;
  if (application != kJournalApplicationId) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kInputRefused,
                           "{} is a database of another program, not a journal: name another state folder", path));
  }
  if (format > kJournalFormat) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kVersionMismatch,
                           "journal {} has format {}; this program reads formats 1 to {}: use the newer program", path,
                           format, kJournalFormat));
  }
  if (format < 1) return fail(journal_damaged(path, fmt::format("it says that its format is {}", format)));
  return false;
}

Status check_all(sqlite3* connection, const std::string& path) {
  KILN_TRY_ASSIGN(const std::string check, query_text(connection, path, "PRAGMA quick_check(1)"));
  if (check == "ok") return {};
  return fail(journal_damaged(path, check));
}

Status set_up(sqlite3* connection, const DatabaseOptions& options) {
  // Exclusive from the first access on: then no shared memory is needed, which network file systems lack.
  KILN_TRY(execute(connection, options.path, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"));
  KILN_TRY_ASSIGN(const bool is_new, check_identity(connection, options.path));
  KILN_TRY_ASSIGN(const std::string mode, query_text(connection, options.path, "PRAGMA journal_mode = WAL"));
  if (mode != "wal") {
    return fail(io_error("journal {}: its file system gives no write-ahead log (mode {})", options.path, mode));
  }
  KILN_TRY(execute(connection, options.path,
                   fmt::format("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {};",
                               kCheckpointPages, kLogBytesKept)));
  if (is_new) return execute(connection, options.path, schema());
  return options.check ? check_all(connection, options.path) : Status();
}

}  // namespace

Error journal_damaged(std::string_view path, std::string_view reason) {
  std::string line(reason);
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  return make_error(ErrorCode::kDataLoss, ExitCode::kIo,
                    "journal {} is damaged ({}): put a copy of its folder in its place, or move the folder away to begin "
                    "without the jobs in it", path, line);
}

struct JournalDatabase::Impl {
  std::string path;
  SqliteConnection connection;  // before the statements, which go first
  SqliteStatement begin;
  SqliteStatement insert;
  SqliteStatement prune;
  SqliteStatement commit;
  SqliteStatement read;

  [[nodiscard]] Error error() const { return sqlite_error(connection.get(), path); }
  Status run(sqlite3_stmt* statement) const {
    const int code = sqlite3_step(statement);
    const Status status = code == SQLITE_DONE ? Status() : Status(fail(error()));
    sqlite3_reset(statement);
    return status;
  }
};

JournalDatabase::JournalDatabase(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JournalDatabase::JournalDatabase(JournalDatabase&&) noexcept = default;
JournalDatabase& JournalDatabase::operator=(JournalDatabase&&) noexcept = default;
JournalDatabase::~JournalDatabase() = default;

Result<JournalDatabase> JournalDatabase::open(const DatabaseOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->path = options.path;
  KILN_TRY_ASSIGN(impl->connection, open_sqlite(options.path, options.vfs));
  sqlite3* const connection = impl->connection.get();
  KILN_TRY(set_up(connection, options));
  if (options.pages_max > 0) {
    KILN_TRY(execute(connection, options.path, fmt::format("PRAGMA max_page_count = {}", options.pages_max)));
  }
  KILN_TRY_ASSIGN(impl->begin, prepare(connection, options.path, "BEGIN IMMEDIATE"));
  KILN_TRY_ASSIGN(impl->insert, prepare(connection, options.path,
                                        "INSERT INTO facts (sequence, checksum, body) VALUES (?1, ?2, ?3)"));
  KILN_TRY_ASSIGN(impl->prune, prepare(connection, options.path,
                                       "DELETE FROM facts WHERE sequence <= ?1 AND sequence < (SELECT min(sequence) FROM "
                                       "facts) + ?2 AND sequence < (SELECT max(sequence) FROM facts)"));
  KILN_TRY_ASSIGN(impl->commit, prepare(connection, options.path, "COMMIT"));
  KILN_TRY_ASSIGN(impl->read, prepare(connection, options.path,
                                      "SELECT sequence, checksum, body FROM facts WHERE sequence >= ?1 ORDER BY sequence"));
  return JournalDatabase(std::move(impl));
}

Status JournalDatabase::check() { return check_all(impl_->connection.get(), impl_->path); }

Result<std::pair<std::uint64_t, std::uint64_t>> JournalDatabase::first_and_last() {
  sqlite3* const connection = impl_->connection.get();
  // Two queries: each is a walk down one edge of the tree, and one for both would read all of it.
  KILN_TRY_ASSIGN(const std::int64_t first,
                  query_integer(connection, impl_->path, "SELECT coalesce(min(sequence), 0) FROM facts"));
  KILN_TRY_ASSIGN(const std::int64_t last,
                  query_integer(connection, impl_->path, "SELECT coalesce(max(sequence), 0) FROM facts"));
  return std::pair(static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last));
}

Status JournalDatabase::begin() { return impl_->run(impl_->begin.get()); }
Status JournalDatabase::commit() { return impl_->run(impl_->commit.get()); }

void JournalDatabase::rollback() {
  // Some errors have rolled back already; then this one says so, and nothing is to be done.
  static_cast<void>(execute(impl_->connection.get(), impl_->path, "ROLLBACK"));
}

Status JournalDatabase::insert(std::uint64_t sequence, std::string_view body) {
  sqlite3_stmt* const statement = impl_->insert.get();
  sqlite3_bind_int64(statement, 1, static_cast<std::int64_t>(sequence));
  sqlite3_bind_int64(statement, 2, checksum(sequence, body));
  // An empty blob is no NULL only with an address.
  sqlite3_bind_blob64(statement, 3, body.empty() ? "" : body.data(), body.size(), SQLITE_STATIC);
  const Status status = impl_->run(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

Result<std::uint64_t> JournalDatabase::prune(std::uint64_t sequence, std::uint64_t rows_max) {
  sqlite3_stmt* const statement = impl_->prune.get();
  sqlite3_bind_int64(statement, 1, static_cast<std::int64_t>(sequence));
  sqlite3_bind_int64(statement, 2, static_cast<std::int64_t>(rows_max));
  KILN_TRY(impl_->run(statement));
  return static_cast<std::uint64_t>(sqlite3_changes64(impl_->connection.get()));
}

Result<std::vector<StoredFact>> JournalDatabase::read(std::uint64_t from, std::size_t rows_max,
                                                      std::size_t bytes_max) {
  sqlite3_stmt* const statement = impl_->read.get();
  struct Reset {
    sqlite3_stmt* statement;
    ~Reset() { sqlite3_reset(statement); }
  } const reset{statement};
  sqlite3_bind_int64(statement, 1, static_cast<std::int64_t>(from));
  std::vector<StoredFact> facts;
  std::size_t bytes = 0;
  while (facts.size() < rows_max && bytes < bytes_max) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) return fail(impl_->error());
    const auto sequence = static_cast<std::uint64_t>(sqlite3_column_int64(statement, 0));
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 2));
    const std::string_view body(data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(statement, 2)));
    if (sequence != from + facts.size()) {
      return fail(journal_damaged(impl_->path, fmt::format("fact {} is missing", from + facts.size())));
    }
    if (checksum(sequence, body) != sqlite3_column_int64(statement, 1)) {
      return fail(journal_damaged(impl_->path, fmt::format("fact {} has other bytes than were written", sequence)));
    }
    facts.push_back({sequence, std::string(body)});
    bytes += body.size();
  }
  return facts;
}

}  // namespace kiln::coordinator
