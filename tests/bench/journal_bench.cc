// How fast the coordinator's journal takes facts, and how long a restart reads. On the disk of KILN_BENCH_FOLDER (default:
// the current folder); say which disk it is beside any number.
//   build/release/bench/journal_bench
#include <benchmark/benchmark.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "coordinator/journal/journal.h"
#include "net/farm_codec.h"

namespace kiln::coordinator {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::size_t kSnapshotBytes = 32U << 20U;

std::string bench_folder(const std::string& name) {
  const char* const base = std::getenv("KILN_BENCH_FOLDER");
  return std::string(base == nullptr ? "." : base) + "/journal_bench." + std::to_string(::getpid()) + "/" + name;
}

std::unique_ptr<Journal> open(const std::string& folder) {
  JournalOptions options;
  options.folder = folder;
  auto journal = Journal::open(posix_file_system(), options);
  KILN_CHECK(journal, "{}", journal.error().message);
  return std::move(*journal);
}

void wait_durable(Journal& journal, std::uint64_t sequence) {
  while (journal.durable_sequence() < sequence) {
    pollfd event{journal.durable_fd(), POLLIN, 0};
    ::poll(&event, 1, -1);
    journal.clear_durable_fd();
    KILN_CHECK(journal.status(), "{}", journal.status().error().message);
  }
}

// What a no-op task costs: its assignment and its result.
std::vector<std::string> two_facts(std::uint64_t task) {
  net::Assigned assigned;
  assigned.task = task;
  assigned.attempt = Attempt{1};
  assigned.job = "bench";
  assigned.worker = "worker-1";
  assigned.at_s = 1.7e9;
  assigned.reason = "first free lane";
  const net::ResultAccepted result{task, Attempt{1}, net::NoopResult{}, {}, 1.7e9};
  return {net::encode(net::Fact(assigned)), net::encode(net::Fact(result))};
}

// Tasks are appended `range` at a time and waited for, as many clients or workers at once would make it.
void append_and_wait(benchmark::State& state) {
  const std::string folder = bench_folder("append");
  std::uint64_t task = 0;
  {
    const auto journal = open(folder);
    for (auto _ : state) {
      std::uint64_t last = 0;
      for (std::int64_t i = 0; i < state.range(0); ++i) last = journal->append(two_facts(++task)).value();
      wait_durable(*journal, last);
    }
    const JournalStats stats = journal->stats();
    state.counters["facts/s"] = benchmark::Counter(static_cast<double>(stats.facts), benchmark::Counter::kIsRate);
    state.counters["facts/commit"] = static_cast<double>(stats.facts) / static_cast<double>(stats.transactions);
    state.counters["commit_ms_max"] = stats.commit_s_max * 1e3;
  }
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
}
BENCHMARK(append_and_wait)->Arg(1)->Arg(16)->Arg(256)->Arg(4096)->UseRealTime()->Unit(benchmark::kMillisecond);

// Facts are appended as fast as they are made; the queue's bound is all that holds them back.
void append_without_waiting(benchmark::State& state) {
  const std::string folder = bench_folder("stream");
  const std::vector<std::string> facts = two_facts(1);
  {
    const auto journal = open(folder);
    for (auto _ : state) benchmark::DoNotOptimize(journal->append(facts).value());
    wait_durable(*journal, journal->append(facts).value());
    const JournalStats stats = journal->stats();
    state.counters["facts/commit"] = static_cast<double>(stats.facts) / static_cast<double>(stats.transactions);
    state.counters["facts/s written"] = static_cast<double>(stats.facts) / stats.commit_s;
    state.counters["waits"] = static_cast<double>(stats.queue_full);
  }
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
}
BENCHMARK(append_without_waiting)->Iterations(kMillion / 2)->UseRealTime()->Unit(benchmark::kMicrosecond);

std::uint64_t decode_all(Journal& journal, std::uint64_t from) {
  std::uint64_t facts = 0;
  const Status status = journal.read_all(from, [&](std::uint64_t, std::string_view bytes) -> Status {
    KILN_TRY_ASSIGN(const net::Fact fact, net::decode_fact(bytes));
    facts += fact.index() < std::variant_size_v<net::Fact> ? 1 : 0;
    return {};
  });
  KILN_CHECK(status, "{}", status.error().message);
  return facts;
}

// A restart after a million facts: open, check, read and decode all of them, or a snapshot and what is behind it.
void reopen(benchmark::State& state, bool with_snapshot) {
  const std::string folder = bench_folder("reopen");
  {
    const auto journal = open(folder);
    for (std::uint64_t task = 0; task < kMillion / 2; ++task) journal->append(two_facts(task + 1)).value();
    wait_durable(*journal, kMillion);
    if (with_snapshot) KILN_CHECK(journal->write_snapshot(kMillion - 1'000, std::string(kSnapshotBytes, 's')), "snapshot");
  }
  state.counters["MiB"] = static_cast<double>(std::filesystem::file_size(folder + "/journal.db")) / (1U << 20U);
  for (auto _ : state) {
    const auto journal = open(folder);
    const auto search = journal->newest_snapshot();
    KILN_CHECK(search, "{}", search.error().message);
    const std::uint64_t from = search->newest ? search->newest->sequence + 1 : 1;
    KILN_CHECK(decode_all(*journal, from) == kMillion + 1 - from, "facts are missing");
  }
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
}
BENCHMARK_CAPTURE(reopen, million_facts, false)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(reopen, snapshot_and_1000_facts, true)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

// Opening alone: what the check of the file costs.
void open_million(benchmark::State& state) {
  const std::string folder = bench_folder("open");
  {
    const auto journal = open(folder);
    for (std::uint64_t task = 0; task < kMillion / 2; ++task) journal->append(two_facts(task + 1)).value();
  }
  for (auto _ : state) benchmark::DoNotOptimize(open(folder)->durable_sequence());
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
}
BENCHMARK(open_million)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kiln::coordinator
