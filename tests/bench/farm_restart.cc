// How long a coordinator takes from its start to its open doors, on a journal of jobs as a farm has them.
//
//   build/release/bench/farm_restart FOLDER [FACTS=1000000] [SNAPSHOT_AT=0] [RUNS=5]
//
// FOLDER is made anew: a journal of FACTS facts, with a snapshot of the first SNAPSHOT_AT of them (0: none). Then a real
// `kiln coordinator` is started on it RUNS times, and killed once it has written its notice. Prints JSON: seconds from exec
// to the notice, and those of its threads on a processor until then, each run; resident memory then; bytes of journal and
// snapshot.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/file_system.h"
#include "base/process.h"
#include "base/sha256.h"
#include "coordinator/core/farm_step.h"
#include "coordinator/durable_snapshot.h"
#include "coordinator/journal/journal.h"
#include "net/farm_codec.h"

namespace {

using namespace kiln;
using namespace kiln::coordinator;
using Clock = std::chrono::steady_clock;

constexpr int kSegmentsOfAJob = 240;
constexpr std::int64_t kFramesOfASegment = 16;
constexpr int kWorkers = 8;
constexpr int kLanes = 4;
constexpr std::size_t kBatch = 256;
constexpr std::chrono::seconds kPatience{300};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "farm_restart: {}\n", why);
  std::exit(1);
}

net::BlobRef blob(const std::string& name) { return {sha256(name).hex(), 1'000'000}; }

// Jobs of one clip: probed, planned, rendered in segments by 32 lanes, joined. One segment in fifty is lost or fails once;
// one job in ten was removed; the last is still at work.
class Farm {
 public:
  std::vector<std::string> facts;

  void job(int number) {
    name_ = fmt::format("clip-{:06}-upscale-x4", number);
    net::JobRequest request;
    request.job = name_;
    request.title = "Big Buck Bunny, reel " + std::to_string(number);
    request.owner = "ann";
    request.manifest = std::string(1'500, 'm');
    request.package.files = {{"manifest.toml", blob("m")}, {"graphs/network.pt2", blob("g")}, {"weights/w", blob("w")}};
    net::ClipRequest clip;
    clip.source = {false, "reel.mp4", blob(name_)};
    clip.output.file_name = "reel.mkv";
    request.clips.push_back(clip);
    add(net::JobAccepted{request, next_, time_});
    const TaskNumber probe = next_++;
    give(probe, 1, net::TaskKind::kProbe, 0, 0);
    net::ProbeResult result;
    result.frames = kSegmentsOfAJob * kFramesOfASegment;
    result.width = 1280;
    result.height = 720;
    result.output_width = 5120;
    result.output_height = 2880;
    result.pixel_format = result.output_pixel_format = "yuv420p";
    result.media_tools = "ffmpeg 5.1.6";
    result.description = blob(name_ + "d");
    result.tiles.push_back({1ULL << 30U, 0, sha256(std::string("g")).hex(), 360, 640, 700'000'000, 1'000'000});
    add(net::ResultAccepted{probe, Attempt{1}, result, blob(name_ + "log"), time_});
    const TaskNumber join = next_++;
    add(net::ClipPlanned{name_, 0, kind(), result.tiles[0], "", sha256(std::string("key")).hex(), join, "the cheapest tiles"});
    for (int i = 0; i < kSegmentsOfAJob; ++i) segment(i);
    give(join, 1, net::TaskKind::kJoin, 0, 0);
    add(net::ResultAccepted{join, Attempt{1}, net::JoinResult{result.frames, blob(name_ + "out"), {}}, blob(name_ + "jl"), time_});
    add(net::JobEnded{name_, net::JobState::kDone, "", time_});
    if (number % 10 == 9) add(net::JobControlled{name_, net::JobVerb::kRemove, time_});
  }

 private:
  void add(const net::Fact& fact) { facts.push_back(net::encode(fact)); }
  static net::LaneClass kind() {
    net::LaneClass out;
    out.isa = "avx2";
    out.threads = 4;
    out.toolchain = sha256(std::string("tools")).hex();
    return out;
  }
  void give(TaskNumber task, std::uint32_t attempt, net::TaskKind task_kind, std::int64_t first, std::int64_t last) {
    net::Assigned fact;
    fact.task = task;
    fact.attempt = Attempt{attempt};
    fact.kind = task_kind;
    fact.job = name_;
    fact.first = first;
    fact.last = last;
    fact.worker = fmt::format("render-node-{:02}", task % kWorkers);
    fact.lane.value = static_cast<std::uint32_t>(task / kWorkers % kLanes);
    fact.at_s = time_ += 0.25;
    fact.reason = attempt == 1 ? "16 frames: 1.6 frames/s here, 10 s wanted" : "again: render-node-03 is silent";
    add(fact);
  }
  void segment(int index) {
    const TaskNumber task = next_++;
    const std::int64_t first = index * kFramesOfASegment;
    std::uint32_t attempt = 1;
    give(task, attempt, net::TaskKind::kSegment, first, first + kFramesOfASegment);
    if (index % 50 == 7) {
      add(net::AttemptEnded{task, Attempt{attempt}, {net::FailureKind::kLostLane, "unavailable", "render-node-03 is silent", -1},
                            {}, false, time_});
      give(task, ++attempt, net::TaskKind::kSegment, first, first + kFramesOfASegment);
    }
    net::SegmentResult result;
    result.first = first;
    result.last = first + kFramesOfASegment;
    result.frames_compiled = kFramesOfASegment;
    result.decode_s = 0.4;
    result.model_s = 8.9;
    result.encode_s = 2.1;
    result.wall_s = 10.1;
    result.wait_decode_s = 0.01;
    result.transfer_s = 0.3;
    for (std::int64_t i = 0; i < kFramesOfASegment * net::kFrameHashBytes; ++i) {
      result.frame_hashes.push_back(static_cast<char>(task * 31 + static_cast<TaskNumber>(i * i)));
    }
    result.settings_digest = sha256(std::string("settings")).hex();
    result.segment = blob(fmt::format("{} {}", name_, index));
    add(net::ResultAccepted{task, Attempt{attempt}, result, blob(fmt::format("{} log", task)), time_});
  }

  net::JobName name_;
  TaskNumber next_ = 1;
  double time_ = 1.7e9;
};

std::unique_ptr<Journal> open_journal(const std::string& state) {
  JournalOptions options;
  options.folder = state + "/journal";
  auto journal = Journal::open(posix_file_system(), options);
  if (!journal) give_up(journal.error().message);
  return std::move(*journal);
}

void build(const std::string& state, std::uint64_t count, std::uint64_t snapshot_at) {
  const auto journal = open_journal(state);
  Farm farm;
  for (int job = 0; farm.facts.size() < count; ++job) farm.job(job);
  farm.facts.resize(count);
  Durable durable;
  for (std::uint64_t i = 0; i < count; i += kBatch) {
    const auto end = farm.facts.begin() + static_cast<std::ptrdiff_t>(std::min(count, i + kBatch));
    const auto written = journal->append({farm.facts.begin() + static_cast<std::ptrdiff_t>(i), end});
    if (!written) give_up(written.error().message);
  }
  if (const Status flushed = journal->flush(); !flushed) give_up(flushed.error().message);
  if (snapshot_at == 0) return;
  for (std::uint64_t i = 0; i < snapshot_at; ++i) apply_fact(durable, *net::decode_fact(farm.facts[i]));
  const Status saved = journal->write_snapshot(snapshot_at, encode_durable(durable));
  if (!saved) give_up(saved.error().message);
}

std::uint64_t bytes_of(const std::string& folder, const std::string& prefix) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with(prefix)) bytes += entry.file_size();
  }
  return bytes;
}

std::string resident_kib(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return line.substr(6);
  }
  return "?";
}

// User and system time so far.
double cpu_seconds(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  constexpr int kBeforeUser = 11;
  std::string skipped;
  for (int i = 0; i < kBeforeUser; ++i) fields >> skipped;
  double user = 0.0;
  double system = 0.0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

struct Started {
  double seconds = 0.0;  // from exec to the notice
  double cpu_s = 0.0;
  std::string memory;
};

Started start_once(const std::string& program, const std::string& state) {
  const std::string notice = state + "/coordinator.json";
  std::filesystem::remove(notice);
  SpawnOptions options;
  options.argv = {program, "coordinator", "--state", state};
  options.set_env = {{"KILN_FARM_SNAPSHOT_FACTS", "100000000"}};  // the journal stays as it is
  options.stderr_fd = 2;
  const auto started = Clock::now();
  auto child = ChildProcess::spawn(options);
  if (!child) give_up(child.error().message);
  while (!std::filesystem::exists(notice)) {
    const auto ended = child->wait_for(std::chrono::milliseconds(1));
    if (!ended || *ended || Clock::now() - started > kPatience) give_up("it does not start");
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
  Started out{seconds, cpu_seconds(child->pid()), resident_kib(child->pid())};
  child->kill_and_wait();
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) give_up("usage: farm_restart FOLDER [FACTS] [SNAPSHOT_AT] [RUNS]");
  const std::string state = argv[1];
  const std::uint64_t facts = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const std::uint64_t snapshot_at = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  const int runs = argc > 4 ? std::atoi(argv[4]) : 5;
  if (std::filesystem::exists(state)) give_up(state + " is there already");
  std::filesystem::create_directories(state);
  build(state, facts, snapshot_at);
  const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin/kiln").string();
  std::vector<double> seconds;
  std::vector<double> cpu;
  std::string memory;
  for (int i = 0; i < runs; ++i) {
    const Started one = start_once(program, state);
    seconds.push_back(one.seconds);
    cpu.push_back(one.cpu_s);
    memory = one.memory;
  }
  fmt::print("{{\"facts\":{},\"snapshot_at\":{},\"journal_bytes\":{},\"snapshot_bytes\":{},\"resident\":\"{}\",\"seconds\":[{:.3f}],"
             "\"cpu_s\":[{:.2f}]}}\n",
             facts, snapshot_at, bytes_of(state + "/journal", "journal.db"), bytes_of(state + "/journal", "snapshot-"), memory,
             fmt::join(seconds, ","), fmt::join(cpu, ","));
  return 0;
}
