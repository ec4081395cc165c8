#include "coordinator/durable_snapshot.h"

#include <atomic>
#include <optional>
#include <thread>

#include "net/farm_snapshot.h"

namespace kiln::coordinator {
namespace {

constexpr std::size_t kTasksPerPart = 2'048;
constexpr std::size_t kSegmentsPerPart = 1'024;

// Writes parts and counts them.
struct PartWriter {
  std::string bytes;
  std::uint64_t parts = 0;
  void add(const net::SnapshotPart& part) {
    net::append_part(bytes, part);
    ++parts;
  }
};

void add_segments(PartWriter& out, const net::JobName& job, const JobRecord& record) {
  for (std::uint32_t clip = 0; clip < record.clips.size(); ++clip) {
    net::SnapshotSegments part{job, clip, {}};
    for (const auto& entry : record.clips[clip].finished) {
      part.finished.emplace_back(entry);
      if (part.finished.size() < kSegmentsPerPart) continue;
      out.add(part);
      part.finished.clear();
    }
    if (!part.finished.empty()) out.add(part);
  }
}

void add_jobs(PartWriter& out, const Durable& durable) {
  for (const auto& [name, record] : durable.jobs) {
    net::SnapshotJob part{record};
    for (ClipRecord& clip : part.record.clips) clip.finished.clear();
    out.add(part);
    add_segments(out, name, record);
  }
}

void add_tasks(PartWriter& out, const Durable& durable) {
  net::SnapshotTasks part;
  for (const auto& entry : durable.tasks) {
    part.tasks.emplace_back(entry);
    if (part.tasks.size() < kTasksPerPart) continue;
    out.add(part);
    part.tasks.clear();
  }
  if (!part.tasks.empty()) out.add(part);
}

// Puts parts into a state, in the order in which they were written.
struct PartTaker {
  Durable& durable;
  Status operator()(net::SnapshotHead& head) const {
    durable.next_task = head.next_task;
    durable.next_order = head.next_order;
    return {};
  }
  Status operator()(net::SnapshotJob& job) const {
    const net::JobName name = job.record.request.job;
    durable.jobs.insert_or_assign(durable.jobs.end(), name, std::move(job.record));
    return {};
  }
  Status operator()(net::SnapshotTasks& part) const {
    for (auto& [number, task] : part.tasks) {
      if (task.state == TaskState::kRunning) durable.running.insert(durable.running.end(), number);
      durable.tasks.insert_or_assign(durable.tasks.end(), number, std::move(task));
    }
    return {};
  }
  Status operator()(net::SnapshotSegments& part) const {
    const auto job = durable.jobs.find(part.job);
    if (job == durable.jobs.end() || part.clip >= job->second.clips.size()) {
      return fail(make_error(ErrorCode::kDataLoss, "a snapshot has segments of {}, which it has not", part.job));
    }
    auto& finished = job->second.clips[part.clip].finished;
    for (auto& [first, result] : part.finished) finished.insert_or_assign(finished.end(), first, std::move(result));
    return {};
  }
  Status operator()(net::SnapshotArtifact& artifact) const {
    const std::string key = artifact.record.wanted.key;
    durable.artifacts.insert_or_assign(durable.artifacts.end(), key, std::move(artifact.record));
    return {};
  }
  Status operator()(net::SnapshotSetAside& aside) const {
    durable.set_aside[aside.lane] = std::move(aside.why);
    return {};
  }
  Status operator()(net::SnapshotDraining& draining) const {
    durable.draining.insert(std::move(draining.worker));
    return {};
  }
  Status operator()(net::EnvelopeLearned& envelope) const {
    durable.envelopes[{envelope.kind, envelope.graph_sha256, envelope.height, envelope.width}] = envelope.budget_bytes_min;
    return {};
  }
};

using DecodedPart = std::optional<Result<net::SnapshotPart>>;

// Parts know nothing of each other: each thread takes the next one.
std::vector<DecodedPart> decode_parts(const std::vector<std::string_view>& parts, unsigned threads) {
  std::vector<DecodedPart> out(parts.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < parts.size(); i = next++) out[i].emplace(net::decode_part(parts[i]));
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  return out;
}

}  // namespace

std::string encode_durable(const Durable& durable) {
  PartWriter out;
  add_jobs(out, durable);
  add_tasks(out, durable);
  for (const auto& [key, artifact] : durable.artifacts) out.add(net::SnapshotArtifact{artifact});
  for (const auto& [lane, why] : durable.set_aside) out.add(net::SnapshotSetAside{lane, why});
  for (const net::WorkerName& worker : durable.draining) out.add(net::SnapshotDraining{worker});
  for (const auto& [envelope, budget] : durable.envelopes) {
    out.add(net::EnvelopeLearned{envelope.kind, envelope.graph_sha256, envelope.height, envelope.width, budget});
  }
  std::string head;
  net::append_part(head, net::SnapshotHead{durable.next_task, durable.next_order, out.parts});
  out.bytes.insert(0, head);
  return std::move(out.bytes);
}

Result<Durable> decode_durable(std::string_view bytes, unsigned threads) {
  KILN_TRY_ASSIGN(const std::vector<std::string_view> parts, net::split_snapshot(bytes));
  std::vector<DecodedPart> decoded = decode_parts(parts, threads);
  const auto* head = !decoded.empty() && *decoded[0] ? std::get_if<net::SnapshotHead>(&**decoded[0]) : nullptr;
  if (!decoded.empty() && !*decoded[0]) return fail(std::move(*decoded[0]).error());
  if (head == nullptr || head->parts + 1 != parts.size()) {
    return fail(make_error(ErrorCode::kDataLoss, "a snapshot's {} parts are not what its head says", parts.size()));
  }
  Durable durable;
  for (DecodedPart& part : decoded) {
    if (!*part) return fail(std::move(*part).error());
    KILN_TRY(std::visit(PartTaker{durable}, **part));
    part.reset();
  }
  return durable;
}

}  // namespace kiln::coordinator
