// The SQLite file below the journal: facts in rows. README.md of this folder holds its format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::coordinator {

inline constexpr int kJournalApplicationId = 0x4b494c4e;  // "KILN"
inline constexpr int kJournalFormat = 1;

struct DatabaseOptions {
  std::string path;
  std::string vfs;              // SQLite's file layer; empty: the system's. Tests have one that fails
  std::uint64_t pages_max = 0;  // of 4 KiB; 0: no limit
  bool check = true;            // the whole file, when it is opened
};

struct StoredFact {
  std::uint64_t sequence = 0;
  std::string body;
};

// Used by one thread at a time. Errors are one line; those of a full disk and of its other failures end with exit code
// 74, and so does damage, which says what to do.
class JournalDatabase {
 public:
  JournalDatabase(JournalDatabase&&) noexcept;
  JournalDatabase& operator=(JournalDatabase&&) noexcept;
  ~JournalDatabase();

  // Makes the file where there is none; refuses files of a newer format, of others, and damaged ones.
  [[nodiscard]] static Result<JournalDatabase> open(const DatabaseOptions& options);

  // Reads the whole file, and says what is wrong with it.
  [[nodiscard]] Status check();
  // 0 and 0: empty.
  [[nodiscard]] Result<std::pair<std::uint64_t, std::uint64_t>> first_and_last();

  [[nodiscard]] Status begin();
  [[nodiscard]] Status insert(std::uint64_t sequence, std::string_view body);
  // Removes facts up to `sequence`, at most `rows_max` of them and never the last; returns how many.
  [[nodiscard]] Result<std::uint64_t> prune(std::uint64_t sequence, std::uint64_t rows_max);
  [[nodiscard]] Status commit();  // on disk when it returns
  void rollback();

  // Facts from `from` on, in order, without gaps: at most `rows_max`, and no more once they have `bytes_max` bytes.
  [[nodiscard]] Result<std::vector<StoredFact>> read(std::uint64_t from, std::size_t rows_max, std::size_t bytes_max);

 private:
  struct Impl;
  explicit JournalDatabase(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What to do about a journal that is damaged, behind the reason.
[[nodiscard]] Error journal_damaged(std::string_view path, std::string_view reason);

}  // namespace kiln::coordinator
