#include "coordinator/journal/sqlite_handle.h"

#include <sqlite3.h>

#include "coordinator/journal/journal_database.h"

namespace kiln::coordinator {

void CloseConnection::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
void FinalizeStatement::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Error sqlite_error(int code, std::string_view text, std::string_view path) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return io_error("journal {}: No space left on device: make room and start again; nothing that was acknowledged "
                      "is lost", path);
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return io_error("journal {}: {}: mend the disk and start again; nothing that was acknowledged is lost", path, text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return journal_damaged(path, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return make_error(ErrorCode::kAborted, ExitCode::kTryAgain, "journal {}: another program has it open: close that",
                        path);
    default:
      return make_error(ErrorCode::kInternal, ExitCode::kIo, "journal {}: {} (SQLite code {})", path, text, code);
  }
}

Error sqlite_error(sqlite3* connection, std::string_view path) {
  return sqlite_error(sqlite3_extended_errcode(connection), sqlite3_errmsg(connection), path);
}

Result<SqliteConnection> open_sqlite(const std::string& path, const std::string& vfs) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened, kFlags, vfs.empty() ? nullptr : vfs.c_str());
  SqliteConnection connection(opened);
  if (opened == nullptr) return fail(sqlite_error(SQLITE_NOMEM, "out of memory", path));
  if (code != SQLITE_OK) return fail(sqlite_error(opened, path));
  return connection;
}

Status execute(sqlite3* connection, std::string_view path, const std::string& sql) {
  if (sqlite3_exec(connection, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return fail(sqlite_error(connection, path));
}

Result<SqliteStatement> prepare(sqlite3* connection, std::string_view path, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(connection, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return fail(sqlite_error(connection, path));
  return SqliteStatement(statement);
}

Result<std::int64_t> query_integer(sqlite3* connection, std::string_view path, const std::string& sql) {
  KILN_TRY_ASSIGN(const SqliteStatement statement, prepare(connection, path, sql));
  if (sqlite3_step(statement.get()) != SQLITE_ROW) return fail(sqlite_error(connection, path));
  return sqlite3_column_int64(statement.get(), 0);
}

Result<std::string> query_text(sqlite3* connection, std::string_view path, const std::string& sql) {
  KILN_TRY_ASSIGN(const SqliteStatement statement, prepare(connection, path, sql));
  if (sqlite3_step(statement.get()) != SQLITE_ROW) return fail(sqlite_error(connection, path));
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement.get(), 0));
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace kiln::coordinator
