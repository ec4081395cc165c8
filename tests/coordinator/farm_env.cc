#include "tests/coordinator/farm_env.h"

#include <fmt/core.h>

#include <set>

#include "net/farm_limits.h"

namespace kiln::coordinator::test {
namespace {

std::string digest_of(const std::string& text) {
  std::string out = fmt::format("{:x}", std::hash<std::string>{}(text));
  return out + std::string(64 - out.size(), '0');
}

net::BlobRef blob(const std::string& text) { return {digest_of(text), text.size()}; }

}  // namespace

std::string sample_manifest() {
  const std::string digest(64, 'a');
  return fmt::format(R"(format_version = 1
kind = "upscaler"
name = "sample"
architecture = "Compact"
source_sha256 = "{0}"
scale = 2
channels = 3
size_multiple = 1
size_minimum = 1
size_square = false
frames_before = 0
frames_after = 0

[tiling]
kind = "exact"
halo = 2
difference = 0.0

[weights]
file = "weights/network.safetensors"
sha256 = "{0}"

[[graph]]
component = "network"
file = "graphs/network.pt2"
sha256 = "{0}"
dtype = "float32"
dynamic = true
height_min = 1
height_max = 4096
width_min = 1
width_max = 4096

[[parameter]]
component = "network"
name = "body.weight"
shape = [3, 3, 3, 3]
dtype = "float32"
keep_dtype = false
channels_last = true
)", digest);
}

JobBuilder::JobBuilder(const std::string& name, int clips) {
  request.job = name;
  request.title = name;
  request.manifest = sample_manifest();
  request.package.files.push_back({"manifest.toml", blob(request.manifest)});
  for (int i = 0; i < clips; ++i) {
    net::ClipRequest clip;
    clip.source.path = fmt::format("clip-{}.mp4", i);
    clip.source.blob = blob(name + clip.source.path);
    clip.output.file_name = fmt::format("out-{}.mp4", i);
    request.clips.push_back(std::move(clip));
  }
}

JobBuilder& JobBuilder::graph_of(const std::string& dtype) {
  request.manifest += fmt::format(R"(
[[graph]]
component = "network"
file = "graphs/{0}.pt2"
sha256 = "{1}"
dtype = "{0}"
dynamic = true
height_min = 1
height_max = 4096
width_min = 1
width_max = 4096
)",
                                  dtype, std::string(64, 'b'));
  request.package.files[0].blob = blob(request.manifest);
  return *this;
}

WorkerBuilder& WorkerBuilder::card(const std::string& arch) {
  for (net::LaneOffer& offer : hello.lanes) {
    offer.kind.arch = arch;
    offer.kind.device_name = "a card of " + arch;
    offer.kind.threads = 0;
  }
  return *this;
}

WorkerBuilder::WorkerBuilder(const std::string& name, int lanes) {
  hello.worker = name;
  hello.instance = name + "-1";
  hello.cores = lanes;
  hello.compiles = true;
  hello.toolchain.torch_version = "2.11.0";
  for (int i = 0; i < lanes; ++i) {
    net::LaneOffer offer;
    offer.lane.value = static_cast<std::uint32_t>(i);
    offer.kind.isa = "avx2";
    offer.kind.threads = 1;
    offer.kind.toolchain = "tools";
    offer.budget_bytes = kBigBudget;
    hello.lanes.push_back(offer);
  }
}

WorkerBuilder& WorkerBuilder::budget(std::uint64_t bytes) {
  for (net::LaneOffer& offer : hello.lanes) offer.budget_bytes = bytes;
  return *this;
}

WorkerBuilder& WorkerBuilder::isa(const std::string& value) {
  for (net::LaneOffer& offer : hello.lanes) offer.kind.isa = value;
  return *this;
}

WorkerBuilder& WorkerBuilder::still_runs(const net::Assign& task, LaneId lane) {
  hello.running.push_back({task.task, task.attempt, lane});
  return *this;
}

void FarmEnv::carry_out(std::vector<FarmEffect> effects) {
  for (FarmEffect& effect : effects) {
    if (auto* record = std::get_if<Record>(&effect)) journal.push_back(std::move(record->fact));
    if (auto* tell = std::get_if<Tell>(&effect)) inbox_[workers_.at(tell->connection)].push_back(std::move(tell->message));
    if (auto* reply = std::get_if<Reply>(&effect)) replies_.push_back(std::move(reply->reply));
    if (auto* keep = std::get_if<KeepBlobs>(&effect)) {
      kept_[keep->job] = std::move(keep->sha256);
      kept_artifacts_[keep->job] = std::move(keep->artifacts);
      if (!keep->nothing_else) continue;
      kept_alone_.insert(keep->job);
      // What goes may go once the journal says that the job is done, and not before.
      EXPECT_TRUE(std::any_of(journal.begin(), journal.end(), [&](const net::Fact& fact) {
        const auto* ended = std::get_if<net::JobEnded>(&fact);
        return ended != nullptr && ended->job == keep->job && ended->state == net::JobState::kDone;
      }));
    }
  }
}

net::ClientReply FarmEnv::ask(net::ClientRequest body, const std::string& who, bool admin) {
  const std::size_t before = replies_.size();
  carry_out(step(state, ClientAsked{"client", ++requests_, admin, who, std::move(body)}, moment()));
  tick();
  if (replies_.size() == before) return net::Refused{make_error(ErrorCode::kUnavailable, "no answer yet")};
  return replies_[before];
}

void FarmEnv::submit(const JobBuilder& job) {
  const net::ClientReply reply = ask(net::Submit{job.request});
  const auto* refused = std::get_if<net::Refused>(&reply);
  ASSERT_EQ(refused, nullptr) << refused->error.message;
}

void FarmEnv::connect(const WorkerBuilder& worker) {
  const std::string connection = worker.hello.instance;
  workers_[connection] = worker.hello.worker;
  connections_[worker.hello.worker] = connection;
  carry_out(step(state, WorkerSaid{connection, worker.hello}, moment()));
  tick();
}

void FarmEnv::say(const net::WorkerName& worker, net::FromWorker message) {
  carry_out(step(state, WorkerSaid{connection_of(worker), std::move(message)}, moment()));
  tick();
}

std::string FarmEnv::connection_of(const net::WorkerName& worker) const { return connections_.at(worker); }

void FarmEnv::pass(FarmTime time) {
  now += time;
  tick();
}

std::vector<net::Assign> FarmEnv::take_assigns(const net::WorkerName& worker) { return take<net::Assign>(worker); }

net::Assign FarmEnv::take_assign(const net::WorkerName& worker) {
  auto all = take_assigns(worker);
  EXPECT_EQ(all.size(), 1U) << worker;
  return all.empty() ? net::Assign{} : all.front();
}

void FarmEnv::finish(const net::WorkerName& worker, const net::Assign& task, double seconds_per_frame) {
  net::TaskDone done;
  done.task = task.task;
  done.attempt = task.attempt;
  if (const auto* probe = std::get_if<net::ProbeSpec>(&task.spec)) {
    net::ProbeResult result;
    result.frames = clip_frames;
    result.output_width = output_side;
    result.output_height = output_side;
    result.output_pixel_format = "yuv420p";
    result.description = blob("description");
    for (const std::string& dtype : probe->dtypes) {
      std::set<std::uint64_t> budgets(probe->budgets_bytes.begin(), probe->budgets_bytes.end());
      budgets.insert(probe->card_budgets_bytes.begin(), probe->card_budgets_bytes.end());
      for (const std::uint64_t budget : budgets) {
        if (budget >= needs_bytes) {
          const std::string graph(64, dtype == "float32" ? 'c' : 'd');
          result.tiles.push_back({budget, dtype == "float32" ? 0U : 1U, graph, 32, tile_width, needs_bytes, 1024, dtype});
          if (smaller_tiles) result.tiles.push_back({needs_bytes / 2, result.tiles.back().graph, graph, 16, 16, needs_bytes / 2, 1500, dtype});
          break;
        }
        result.no_tiles_reason = "the smallest tile needs more";
      }
    }
    done.result = result;
  } else if (const auto* segment = std::get_if<net::SegmentSpec>(&task.spec)) {
    net::SegmentResult result;
    result.first = segment->first;
    result.last = segment->last;
    result.wall_s = seconds_per_frame * static_cast<double>(segment->last - segment->first);
    const auto frames = static_cast<double>(segment->last - segment->first);
    result.model_s = frames * frame_cost.model_s;
    result.decode_core_s = frames * frame_cost.decode_core_s;
    result.model_core_s = frames * frame_cost.model_core_s;
    result.encode_core_s = frames * frame_cost.encode_core_s;
    if (hashes) result.frame_hashes.assign(static_cast<std::size_t>(net::kFrameHashBytes * (segment->last - segment->first)), 'h');
    result.artifact_lost = artifact_lost && segment->artifact_ready;
    result.segment = blob(fmt::format("{}-{}", task.task, task.attempt.value));
    done.result = result;
  } else if (const auto* join = std::get_if<net::JoinSpec>(&task.spec)) {
    net::JoinResult result;
    for (const net::JoinSegment& one : join->segments) result.frames += one.frames;
    result.output = blob("output of " + task.job);
    done.result = result;
  } else if (const auto* compile = std::get_if<net::CompileSpec>(&task.spec)) {
    net::CompileResult result;
    result.key = compile->key;
    done.result = result;
  } else {
    done.result = net::NoopResult{};
  }
  say(worker, done);
}

void FarmEnv::fail(const net::WorkerName& worker, const net::Assign& task, net::FailureKind kind, const std::string& why) {
  say(worker, net::TaskFailed{task.task, task.attempt, {kind, "internal", why, -1}, {}});
}

int FarmEnv::run_to_end() {
  int done = 0;
  for (bool any = true; any;) {
    any = false;
    for (const auto& [worker, connection] : connections_) {
      for (const net::Assign& task : take_assigns(worker)) {
        finish(worker, task);
        ++done;
        any = true;
      }
    }
  }
  return done;
}

net::JobStatus FarmEnv::status(const std::string& name) {
  const net::ClientReply reply = ask(net::GetJob{name, 0, 0});
  const auto* status = std::get_if<net::JobStatus>(&reply);
  EXPECT_NE(status, nullptr);
  return status == nullptr ? net::JobStatus{} : *status;
}

FarmState FarmEnv::replayed() const {
  FarmState out;
  out.rules = state.rules;
  for (const net::Fact& fact : journal) apply_fact(out.durable, fact);
  begin_after_replay(out, moment());
  return out;
}

}  // namespace kiln::coordinator::test
