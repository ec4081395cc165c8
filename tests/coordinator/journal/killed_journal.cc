// killed_journal FOLDER SEED KILL_AT BATCHES: appends batches of random length (BATCHES of them; 0: without end), takes a
// snapshot now and then, and writes "durable N" or "snapshot N" to stdout as each is acknowledged. With KILL_AT > 0 it
// kills itself with -9 at that operation of the database on its files, in the middle of it where it is a write.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/coordinator/journal/fault_vfs.h"
#include "tests/coordinator/journal/journal_fixture.h"

namespace kiln::coordinator {
namespace {

constexpr std::uint64_t kSnapshotEvery = 7;  // batches

void say(const char* what, std::uint64_t sequence) {
  fmt::print("{} {}\n", what, sequence);
  std::fflush(stdout);
}

Status run(const std::string& folder, std::uint64_t seed, std::uint64_t kill_at, std::uint64_t batches) {
  test::register_fault_vfs();
  if (kill_at > 0) test::set_vfs_fault(test::VfsFault::kKill, kill_at);
  JournalOptions options;
  options.folder = folder;
  options.vfs = test::kFaultVfs;
  KILN_TRY_ASSIGN(const auto journal, Journal::open(posix_file_system(), options));
  KILN_TRY(journal->newest_snapshot());
  say("open", journal->durable_sequence());
  std::mt19937_64 random(seed);
  std::uint64_t next = journal->durable_sequence() + 1;
  for (std::uint64_t i = 1; batches == 0 || i <= batches; ++i) {
    const std::uint64_t count = 1 + random() % 12;
    KILN_TRY(journal->append(test::numbered_batch(next, count)));
    next += count;
    if (random() % 3 == 0) continue;  // several batches in one transaction
    if (!test::wait_durable(*journal, next - 1)) return journal->status();
    say("durable", next - 1);
    if (i % kSnapshotEvery != 0) continue;
    KILN_TRY(journal->write_snapshot(next - 1, fmt::format("state {}", next - 1)));
    say("snapshot", next - 1);
  }
  return {};
}

}  // namespace
}  // namespace kiln::coordinator

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  const auto status = kiln::coordinator::run(argv[1], number(2), number(3), number(4));
  if (status) return 0;
  fmt::print(stderr, "{}\n", status.error().message);
  return kiln::exit_code(status.error());
}
