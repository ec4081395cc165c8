// Texts of the state are written as they are: what is read back must be equal, whoever reads it.
#include <google/protobuf/arena.h>

#include <algorithm>

#include "net/kiln.pb.h"
#include "net/farm_codec.h"
#include "net/farm_codec_records.h"
#include "net/farm_snapshot.h"
#include "net/farm_snapshot.pb.h"

namespace kiln::net {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kPartBytesMax = 1U << 30U;

void put(const SnapshotHead& in, farm::SnapshotHead& out) {
  out.set_format(kSnapshotStateFormat);
  out.set_next_task(in.next_task);
  out.set_next_order(in.next_order);
  out.set_parts(in.parts);
}

void put(const SnapshotJob& part, farm::SnapshotJob& out) {
  const JobRecord& in = part.record;
  put(in.request, *out.mutable_request());
  out.set_order(in.order);
  out.set_submitted_s(in.submitted_s);
  out.set_ended_s(in.ended_s);
  out.set_paused(in.paused);
  if (in.ended) out.set_ended(to_wire<farm::JobState>(*in.ended));
  out.set_reason(in.reason);
  for (const ClipRecord& clip : in.clips) put(clip, *out.add_clips());
  out.set_first_task(in.first_task);
  out.set_noop_next(in.noop_next);
  out.set_noop_done(in.noop_done);
  for (const TaskNumber task : in.waiting) out.add_waiting(task);
  for (const TaskNumber task : in.running) out.add_running(task);
  for (const TaskNumber task : in.tasks) out.add_tasks(task);
  for (const auto& [lane, share] : in.shares) {
    put(share, *out.add_shares());
  }
  out.set_attempts_failed(in.attempts_failed);
  for (const LaneName& lane : in.lost_lanes) put(lane, *out.add_lost_lanes());
  out.set_compiles_done(in.compiles);
  out.set_store_hits(in.store_hits);
  out.set_compile_s(in.compile_s);
  out.set_exit(in.exit);
}

SnapshotJob get(const farm::SnapshotJob& in, WireReader& read) {
  JobRecord out;
  out.request = get(in.request(), read);
  out.order = in.order();
  out.submitted_s = read.number(in.submitted_s(), "SnapshotJob.submitted_s");
  out.ended_s = read.number(in.ended_s(), "SnapshotJob.ended_s");
  out.paused = in.paused();
  if (in.ended() != 0) out.ended = read.enumerator(in.ended(), JobState::kCancelled, "SnapshotJob.ended");
  out.reason = read.document(in.reason(), kStateTextBytesMax, "SnapshotJob.reason");
  for (const auto& clip : in.clips()) out.clips.push_back(get(clip, read));
  if (out.clips.size() != out.request.clips.size()) read.refuse("SnapshotJob.clips", "are not those of its request");
  out.first_task = in.first_task();
  out.noop_next = read.count(in.noop_next(), "SnapshotJob.noop_next");
  out.noop_done = read.count(in.noop_done(), "SnapshotJob.noop_done");
  out.waiting.insert(in.waiting().begin(), in.waiting().end());
  out.running.insert(in.running().begin(), in.running().end());
  out.tasks.assign(in.tasks().begin(), in.tasks().end());
  for (const auto& one : in.shares()) {
    const LaneShare share = get(one, read);
    out.shares[{share.worker, share.lane}] = share;
  }
  out.attempts_failed = in.attempts_failed();
  for (const auto& lane : in.lost_lanes()) out.lost_lanes.insert(get(lane, read));
  out.compiles = in.compiles_done();
  out.store_hits = in.store_hits();
  out.compile_s = read.number(in.compile_s(), "SnapshotJob.compile_s");
  out.exit = read.integer(in.exit(), 0, kExitMax, "SnapshotJob.exit");
  return {std::move(out)};
}

void put(const SnapshotTasks& in, farm::SnapshotTasks& out) {
  for (const auto& [number, task] : in.tasks) {
    auto& one = *out.add_tasks();
    one.set_task(number);
    put(task, one);
  }
}

SnapshotTasks get(const farm::SnapshotTasks& in, WireReader& read) {
  SnapshotTasks out;
  out.tasks.reserve(static_cast<std::size_t>(in.tasks_size()));
  for (const auto& task : in.tasks()) out.tasks.emplace_back(task.task(), get(task, read));
  return out;
}

void put(const SnapshotSegments& in, farm::SnapshotSegments& out) {
  out.set_job(in.job);
  out.set_clip(in.clip);
  for (const auto& [first, result] : in.finished) {
    out.add_first(first);
    put(result, *out.add_results());
  }
}

SnapshotSegments get(const farm::SnapshotSegments& in, WireReader& read) {
  SnapshotSegments out;
  out.job = read.job(in.job(), "SnapshotSegments.job");
  out.clip = in.clip();
  if (in.first_size() != in.results_size()) read.refuse("SnapshotSegments.first", "is of another length");
  const int segments = std::min(in.first_size(), in.results_size());
  out.finished.reserve(static_cast<std::size_t>(segments));
  for (int i = 0; i < segments; ++i) {
    out.finished.emplace_back(read.frames(in.first(i), "SnapshotSegments.first"), get(in.results(i), read));
  }
  return out;
}

void put(const SnapshotArtifact& in, farm::SnapshotArtifact& out) {
  put(in.record.wanted, *out.mutable_wanted());
  out.set_state(to_wire<farm::SnapshotArtifactState>(in.record.state));
  out.set_reason(in.record.reason);
  out.set_exit(in.record.exit);
}

SnapshotArtifact get(const farm::SnapshotArtifact& in, WireReader& read) {
  SnapshotArtifact out;
  out.record.wanted = get(in.wanted(), read);
  out.record.state = read.enumerator(in.state(), ArtifactState::kFailed, "SnapshotArtifact.state");
  out.record.reason = read.document(in.reason(), kStateTextBytesMax, "SnapshotArtifact.reason");
  out.record.exit = read.integer(in.exit(), 0, kExitMax, "SnapshotArtifact.exit");
  return out;
}

struct PartPut {
  farm::SnapshotPart& out;
  void operator()(const SnapshotHead& in) const { put(in, *out.mutable_head()); }
  void operator()(const SnapshotJob& in) const { put(in, *out.mutable_job()); }
  void operator()(const SnapshotTasks& in) const { put(in, *out.mutable_tasks()); }
  void operator()(const SnapshotSegments& in) const { put(in, *out.mutable_segments()); }
  void operator()(const SnapshotArtifact& in) const { put(in, *out.mutable_artifact()); }
  void operator()(const SnapshotSetAside& in) const {
    put(in.lane, *out.mutable_set_aside()->mutable_lane());
    out.mutable_set_aside()->set_why(in.why);
  }
  void operator()(const SnapshotDraining& in) const { out.mutable_draining()->set_worker(in.worker); }
  void operator()(const EnvelopeLearned& in) const { put(in, *out.mutable_envelope()); }
};

SnapshotPart open(const farm::SnapshotPart& in, WireReader& read) {
  switch (in.body_case()) {
    case farm::SnapshotPart::kHead: return SnapshotHead{in.head().next_task(), in.head().next_order(), in.head().parts()};
    case farm::SnapshotPart::kJob: return get(in.job(), read);
    case farm::SnapshotPart::kTasks: return get(in.tasks(), read);
    case farm::SnapshotPart::kSegments: return get(in.segments(), read);
    case farm::SnapshotPart::kArtifact: return get(in.artifact(), read);
    case farm::SnapshotPart::kSetAside:
      return SnapshotSetAside{get(in.set_aside().lane(), read),
                              read.document(in.set_aside().why(), kStateTextBytesMax, "SnapshotSetAside.why")};
    case farm::SnapshotPart::kDraining:
      return SnapshotDraining{read.worker(in.draining().worker(), "SnapshotDraining.worker")};
    case farm::SnapshotPart::kEnvelope: return get(in.envelope(), read);
    case farm::SnapshotPart::BODY_NOT_SET: break;
  }
  read.refuse("SnapshotPart", "holds nothing that this program knows");
  return {};
}

}  // namespace

void append_part(std::string& out, const SnapshotPart& part) {
  google::protobuf::Arena arena;
  auto& message = *google::protobuf::Arena::CreateMessage<farm::SnapshotPart>(&arena);
  std::visit(PartPut{message}, part);
  const auto bytes = static_cast<std::uint32_t>(message.ByteSizeLong());
  for (std::size_t i = 0; i < kLengthBytes; ++i) out.push_back(static_cast<char>(bytes >> (8U * i)));
  message.AppendToString(&out);
}

Result<std::vector<std::string_view>> split_snapshot(std::string_view bytes) {
  std::vector<std::string_view> parts;
  while (!bytes.empty()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < std::min(kLengthBytes, bytes.size()); ++i) {
      length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])) << (8U * i);
    }
    if (bytes.size() < kLengthBytes || length > bytes.size() - kLengthBytes) {
      return fail(make_error(ErrorCode::kDataLoss, "part {} of a snapshot is cut off", parts.size()));
    }
    parts.push_back(bytes.substr(kLengthBytes, length));
    bytes.remove_prefix(kLengthBytes + length);
  }
  return parts;
}

Result<SnapshotPart> decode_part(std::string_view bytes) {
  google::protobuf::Arena arena;
  auto& message = *google::protobuf::Arena::CreateMessage<farm::SnapshotPart>(&arena);
  if (bytes.size() > kPartBytesMax || !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(make_error(ErrorCode::kDataLoss, "{} bytes are no part of a snapshot", bytes.size()));
  }
  if (message.has_head() && message.head().format() > kSnapshotStateFormat) {
    return fail(make_error(ErrorCode::kFailedPrecondition, ExitCode::kVersionMismatch,
                           "a snapshot's state has format {}; this program reads formats up to {}: use the newer program",
                           message.head().format(), kSnapshotStateFormat));
  }
  WireReader read("snapshot");
  SnapshotPart part = open(message, read);
  KILN_TRY(read.status());
  return part;
}

}  // namespace kiln::net
