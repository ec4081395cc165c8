// Snapshots beside the journal: each a file that appears at once, says what it holds and is checked when it is read.
// The two newest are kept. README.md of this folder holds the format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"

namespace kiln::coordinator {

inline constexpr std::uint64_t kSnapshotBytesMax = 1ULL << 30U;
inline constexpr std::uint32_t kSnapshotFormat = 1;

struct JournalSnapshot {
  std::uint64_t sequence = 0;  // all facts up to this one are in it
  std::string bytes;
};
struct SnapshotSearch {
  std::optional<JournalSnapshot> newest;  // that is whole
  std::vector<std::string> damaged;       // a line for each newer one that is not
};

// Calls come from one thread at a time. `files` outlives it.
class JournalSnapshots {
 public:
  JournalSnapshots(FileSystem& files, std::string folder) : files_(files), folder_(std::move(folder)) {}
  // Of facts before `below`. kVersionMismatch: the newest is of a newer program.
  [[nodiscard]] Result<SnapshotSearch> find_newest(std::uint64_t below = ~0ULL);
  // Durable under its name when it returns.
  [[nodiscard]] Status write(std::uint64_t sequence, std::string_view bytes);
  // Removes all but these two.
  [[nodiscard]] Status keep_only(std::uint64_t newest, std::uint64_t before_it);

 private:
  [[nodiscard]] Result<std::vector<std::uint64_t>> sequences();  // newest first
  [[nodiscard]] Result<JournalSnapshot> read(std::uint64_t sequence);
  [[nodiscard]] std::string path_of(std::uint64_t sequence) const;

  FileSystem& files_;
  std::string folder_;
};

}  // namespace kiln::coordinator
