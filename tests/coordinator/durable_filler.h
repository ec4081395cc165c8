// A state in which every field has a value that is valid and not its default. A field that is added to a record breaks the
// bindings here: add it to the snapshot as well.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "coordinator/core/farm_state.h"
#include "tests/net/farm/filled.h"

namespace kiln::net {

inline int values_of(TaskState) { return static_cast<int>(TaskState::kCancelled) + 1; }
inline int values_of(ArtifactState) { return static_cast<int>(ArtifactState::kFailed) + 1; }

}  // namespace kiln::net

namespace kiln::coordinator::test {

class DurableFiller {
 public:
  explicit DurableFiller(std::uint64_t seed) : leaf_(seed) {}

  void fill(Durable& value) {
    auto& [jobs, tasks, running, artifacts, set_aside, draining, envelopes, next_task, next_order] = value;
    each(jobs, tasks, artifacts, set_aside, draining, envelopes, next_task, next_order);
    std::map<net::JobName, JobRecord> named;
    for (auto& [name, job] : jobs) named[job.request.job] = std::move(job);
    jobs = std::move(named);
    std::map<std::string, ArtifactRecord> keyed;
    for (auto& [key, artifact] : artifacts) keyed[artifact.wanted.key] = std::move(artifact);
    artifacts = std::move(keyed);
    for (const auto& [number, task] : tasks) {
      if (task.state == TaskState::kRunning) running.insert(number);
    }
  }

 private:
  static constexpr int kEntries = 3;

  template <typename... Fields>
  void each(Fields&... fields) {
    (fill(fields), ...);
  }
  void fill(JobRecord& value) {
    auto& [request, order, submitted_s, ended_s, paused, ended, reason, exit, clips, first_task, noop_next, noop_done, waiting,
           running, tasks, shares, attempts_failed, lost_lanes, compiles, store_hits, compile_s] = value;
    each(request, order, submitted_s, ended_s, paused, ended, reason, exit, clips, first_task, noop_next, noop_done, waiting,
         running, tasks, shares, attempts_failed, lost_lanes, compiles, store_hits, compile_s);
    std::map<LaneName, net::LaneShare> named;
    for (auto& [lane, share] : shares) named[{share.worker, share.lane}] = share;
    shares = std::move(named);
    clips.resize(request.clips.size());
    for (ClipRecord& clip : clips) fill(clip);
  }
  void fill(ClipRecord& value) {
    auto& [probe_task, probe, plan, frontier, segments, finished, frames_done, result] = value;
    each(probe_task, probe, plan, frontier, segments, finished, frames_done, result);
  }
  void fill(TaskRecord& value) {
    auto& [kind, job, clip, first, last, key, state, attempt, lane, failures, failed_on, last_message, attempts] = value;
    each(kind, job, clip, first, last, key, state, attempt, lane, failures, failed_on, last_message, attempts);
  }
  void fill(AttemptRecord& value) {
    auto& [attempt, lane, start_s, end_s, outcome, log] = value;
    each(attempt, lane, start_s, end_s, outcome, log);
  }
  void fill(ArtifactRecord& value) {
    auto& [wanted, state, reason, exit] = value;
    each(wanted, state, reason, exit);
  }
  template <typename T>
  void fill(std::optional<T>& value) {
    fill(value.emplace());
  }
  template <typename A, typename B>
  void fill(std::pair<A, B>& value) {
    each(value.first, value.second);
  }
  template <typename T>
  void fill(std::vector<T>& value) {
    value.resize(kEntries);
    for (T& item : value) fill(item);
  }
  template <typename T>
  void fill(std::set<T>& value) {
    for (int i = 0; i < kEntries; ++i) {
      T item{};
      fill(item);
      value.insert(std::move(item));
    }
  }
  template <typename K, typename V>
  void fill(std::map<K, V>& value) {
    for (int i = 0; i < kEntries; ++i) {
      K key{};
      fill(key);
      fill(value[key]);
    }
  }
  template <typename T>
  void fill(T& value) {
    leaf_.fill(value);
  }

  net::test::Filler leaf_;
};

}  // namespace kiln::coordinator::test
