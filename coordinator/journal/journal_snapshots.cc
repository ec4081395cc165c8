#include "coordinator/journal/journal_snapshots.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <span>

#include "base/atomic_file.h"
#include "base/sha256.h"
#include "base/text.h"

namespace kiln::coordinator {
namespace {

constexpr std::string_view kPrefix = "snapshot-";
constexpr std::string_view kMagic = "kiln-snapshot";
constexpr std::size_t kSequenceDigits = 20;  // names sort as their numbers do
constexpr std::uint64_t kHeaderBytesMax = 256;

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Error damaged(const std::string& path, std::string_view why) {
  return make_error(ErrorCode::kDataLoss, ExitCode::kIo, "snapshot {} is damaged: {}", path, why);
}

}  // namespace

std::string JournalSnapshots::path_of(std::uint64_t sequence) const {
  return fmt::format("{}/{}{:0{}}", folder_, kPrefix, sequence, kSequenceDigits);
}

Result<std::vector<std::uint64_t>> JournalSnapshots::sequences() {
  KILN_TRY_ASSIGN(const std::vector<std::string> names, files_.list(folder_));
  std::vector<std::uint64_t> found;
  for (const std::string& name : names) {
    std::uint64_t sequence = 0;
    if (name.size() != kPrefix.size() + kSequenceDigits || !name.starts_with(kPrefix)) continue;
    if (parse_number(std::string_view(name).substr(kPrefix.size()), sequence)) found.push_back(sequence);
  }
  std::ranges::sort(found, std::greater<>());
  return found;
}

// One line "kiln-snapshot FORMAT SEQUENCE BYTES SHA256", then the bytes.
Result<JournalSnapshot> JournalSnapshots::read(std::uint64_t sequence) {
  const std::string path = path_of(sequence);
  KILN_TRY_ASSIGN(std::string text, read_file(path, kSnapshotBytesMax + kHeaderBytesMax));
  const std::size_t line_end = text.substr(0, kHeaderBytesMax).find('\n');
  if (line_end == std::string::npos) return fail(damaged(path, "it has no header"));
  const auto words = split(std::string_view(text).substr(0, line_end), ' ');
  std::uint32_t format = 0;
  if (words.size() < 2 || words[0] != kMagic || !parse_number(words[1], format)) {
    return fail(damaged(path, "it has no header"));
  }
  if (format > kSnapshotFormat) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kVersionMismatch,
                           "snapshot {} has format {}; this program reads formats 1 to {}: use the newer program", path,
                           format, kSnapshotFormat));
  }
  std::uint64_t written = 0;
  std::uint64_t bytes = 0;
  if (words.size() != 5 || !parse_number(words[2], written) || !parse_number(words[3], bytes) || written != sequence) {
    return fail(damaged(path, "its header is not that of its name"));
  }
  const std::string digest(words[4]);
  text.erase(0, line_end + 1);  // hundreds of MB, perhaps: not copied
  JournalSnapshot snapshot{sequence, std::move(text)};
  if (snapshot.bytes.size() != bytes) return fail(damaged(path, "it is cut off"));
  if (sha256(snapshot.bytes).hex() != digest) return fail(damaged(path, "it has other bytes than were written"));
  return snapshot;
}

Result<SnapshotSearch> JournalSnapshots::find_newest(std::uint64_t below) {
  KILN_TRY_ASSIGN(const std::vector<std::uint64_t> found, sequences());
  SnapshotSearch search;
  for (const std::uint64_t sequence : found) {
    if (sequence >= below) continue;
    auto snapshot = read(sequence);
    if (snapshot) {
      search.newest = std::move(*snapshot);
      break;
    }
    // A newer program's state is not passed over: going on from an older one would undo what it decided.
    if (snapshot.error().exit == ExitCode::kVersionMismatch) return fail(std::move(snapshot).error());
    search.damaged.push_back(snapshot.error().message);
  }
  return search;
}

Status JournalSnapshots::write(std::uint64_t sequence, std::string_view bytes) {
  if (bytes.size() > kSnapshotBytesMax) {
    return fail(make_error(ErrorCode::kResourceExhausted, "a snapshot has {} bytes; at most {}", bytes.size(),
                           kSnapshotBytesMax));
  }
  std::string text = fmt::format("{} {} {} {} {}\n", kMagic, kSnapshotFormat, sequence, bytes.size(), sha256(bytes).hex());
  text.append(bytes);
  return write_file_atomic(files_, path_of(sequence), std::as_bytes(std::span(text)));
}

Status JournalSnapshots::keep_only(std::uint64_t newest, std::uint64_t before_it) {
  KILN_TRY_ASSIGN(const std::vector<std::uint64_t> found, sequences());
  for (const std::uint64_t sequence : found) {
    if (sequence != newest && sequence != before_it) KILN_TRY(files_.remove_file(path_of(sequence)));
  }
  return {};
}

}  // namespace kiln::coordinator
