// A farm for tests of the coordinator's core: the core and nothing else. Workers and clients are the test itself; what
// they are sent is kept, and a message that nobody looked at fails the test.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/farm_step.h"
#include "coordinator/core/farm_turn.h"

namespace kiln::coordinator::test {

inline constexpr std::uint64_t kBigBudget = 1ULL << 30U;
inline constexpr std::uint64_t kSmallBudget = 100ULL << 20U;

[[nodiscard]] std::string sample_manifest();  // of a small upscaler, x2

// What a job looks like, unless a test says otherwise.
struct JobBuilder {
  net::JobRequest request;
  explicit JobBuilder(const std::string& name, int clips = 1);
  JobBuilder& executor(const std::string& value) { return request.executor = value, *this; }
  JobBuilder& numerics(const std::string& value) { return request.numerics = value, *this; }
  JobBuilder& precision(const std::string& value) { return request.precision = value, *this; }
  JobBuilder& graph_of(const std::string& dtype);  // the package has one of that dtype as well
  JobBuilder& priority(int value) { return request.priority = value, *this; }
  JobBuilder& pool(const std::string& value) { return request.pool = value, *this; }
  JobBuilder& owner(const std::string& value) { return request.owner = value, *this; }
  JobBuilder& segment_frames(std::int64_t value) { return request.segment_frames = value, *this; }
  JobBuilder& after(const std::string& job) { return request.depends_on.push_back(job), *this; }
};

struct WorkerBuilder {
  net::WorkerHello hello;
  explicit WorkerBuilder(const std::string& name, int lanes = 1);
  WorkerBuilder& budget(std::uint64_t bytes);
  WorkerBuilder& card(const std::string& arch);  // each lane has one
  WorkerBuilder& isa(const std::string& value);
  WorkerBuilder& pool(const std::string& value) { return hello.pool = value, *this; }
  WorkerBuilder& instance(const std::string& value) { return hello.instance = value, *this; }
  WorkerBuilder& no_compiler() { return hello.compiles = false, *this; }
  WorkerBuilder& still_runs(const net::Assign& task, LaneId lane);
};

class FarmEnv {
 public:
  FarmEnv() = default;
  explicit FarmEnv(FarmRules rules) { state.rules = std::move(rules); }

  FarmState state;
  std::vector<net::Fact> journal;
  FarmTime now{0};

  // Events. A tick follows each, as the shell's loop makes it.
  net::ClientReply ask(net::ClientRequest body, const std::string& who = "", bool admin = true);
  void submit(const JobBuilder& job);
  void connect(const WorkerBuilder& worker);
  void say(const net::WorkerName& worker, net::FromWorker message);
  void pass(FarmTime time);
  void tick() { carry_out(step(state, Tick{}, moment())); }

  // What a worker was sent and nobody took yet.
  [[nodiscard]] std::vector<net::Assign> take_assigns(const net::WorkerName& worker);
  [[nodiscard]] net::Assign take_assign(const net::WorkerName& worker);  // exactly one
  template <typename Message>
  [[nodiscard]] std::vector<Message> take(const net::WorkerName& worker) {
    std::vector<Message> out;
    auto& box = inbox_[worker];
    for (auto it = box.begin(); it != box.end();) {
      if (auto* found = std::get_if<Message>(&*it)) {
        out.push_back(std::move(*found));
        it = box.erase(it);
      } else {
        ++it;
      }
    }
    return out;
  }
  [[nodiscard]] const std::vector<net::ClientReply>& replies() const { return replies_; }
  [[nodiscard]] const std::map<net::JobName, std::vector<std::string>>& kept() const { return kept_; }
  [[nodiscard]] const std::map<net::JobName, std::vector<std::string>>& kept_artifacts() const { return kept_artifacts_; }
  [[nodiscard]] bool keeps_nothing_else(const net::JobName& job) const { return kept_alone_.contains(job); }

  // Answers as an honest worker would.
  void finish(const net::WorkerName& worker, const net::Assign& task, double seconds_per_frame = 0.1);
  void fail(const net::WorkerName& worker, const net::Assign& task, net::FailureKind kind, const std::string& why = "because");
  // Ticks and answers until nothing is assigned any more; returns how many tasks were done.
  int run_to_end();

  // Lanes get a segment when the one before is done, as if none could be given ahead.
  void one_segment_at_a_time() { state.rules.segment_ahead_ms = -1; }

  [[nodiscard]] const JobRecord& job(const std::string& name) const { return state.durable.jobs.at(name); }
  [[nodiscard]] net::JobStatus status(const std::string& name);
  std::int64_t clip_frames = 100;
  bool hashes = false;  // segments come with those of their frames
  std::uint64_t needs_bytes = 50ULL << 20U;  // of the clip's tiles
  bool artifact_lost = false;  // segments come without the artifact that they were promised
  bool smaller_tiles = false;  // probes find another way of tiling, with half of the memory
  std::int64_t output_side = 64;  // of every clip's output
  int tile_width = 32;                       // another one has another artifact
  net::SegmentResult frame_cost;             // of segments, what each frame took of the model's time and of the host's cores

  // The state that the journal alone gives, as after a restart.
  [[nodiscard]] FarmState replayed() const;

 private:
  [[nodiscard]] Moment moment() const { return {now, 1'000'000.0 + static_cast<double>(now.count()) / 1000.0}; }
  void carry_out(std::vector<FarmEffect> effects);
  [[nodiscard]] std::string connection_of(const net::WorkerName& worker) const;

  std::map<net::WorkerName, std::deque<net::ToWorker>> inbox_;  // by connection's worker
  std::map<std::string, net::WorkerName> workers_;              // by connection
  std::map<net::WorkerName, std::string> connections_;
  std::vector<net::ClientReply> replies_;
  std::map<net::JobName, std::vector<std::string>> kept_;
  std::map<net::JobName, std::vector<std::string>> kept_artifacts_;
  std::set<net::JobName> kept_alone_;  // of these, those that the store was told to keep nothing else for
  std::uint64_t requests_ = 0;
};

}  // namespace kiln::coordinator::test
