// SQLite's connection and statements, owned; its errors as ours.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kiln::coordinator {

struct CloseConnection {
  void operator()(sqlite3* connection) const;
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const;
};
using SqliteConnection = std::unique_ptr<sqlite3, CloseConnection>;
using SqliteStatement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// `vfs` empty: the system's. The file is made when it is missing.
[[nodiscard]] Result<SqliteConnection> open_sqlite(const std::string& path, const std::string& vfs);
// The error that the connection's last call left, named after the file.
[[nodiscard]] Error sqlite_error(sqlite3* connection, std::string_view path);
[[nodiscard]] Error sqlite_error(int code, std::string_view text, std::string_view path);

[[nodiscard]] Status execute(sqlite3* connection, std::string_view path, const std::string& sql);
// The first column of the first row.
[[nodiscard]] Result<std::int64_t> query_integer(sqlite3* connection, std::string_view path, const std::string& sql);
[[nodiscard]] Result<std::string> query_text(sqlite3* connection, std::string_view path, const std::string& sql);
[[nodiscard]] Result<SqliteStatement> prepare(sqlite3* connection, std::string_view path, std::string_view sql);

}  // namespace kiln::coordinator
