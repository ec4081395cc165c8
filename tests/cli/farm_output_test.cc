#include "cli/farm/farm_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "net/farm_limits.h"

namespace kiln::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kHash(64, 'a');

net::JobStatus sample_status() {
  net::JobStatus status;
  status.summary = {"film-12345678", "Film", "ann", "day", 5, net::JobState::kRunning, "why", 100, 40, 10.5, 0.0};
  status.revision = 7;
  net::ClipStatus clip;
  clip.source = "in.mp4";
  clip.output = "out.mkv";
  clip.warnings = {"a chapter was left out"};
  net::SegmentResult segment;
  segment.first = 0;
  segment.last = 40;
  segment.segment = {kHash, 123};
  clip.segments = {segment};
  clip.segments_done = 1;
  status.clips = {clip};
  status.lanes = {{"w1", LaneId{1}, 2, 40}};
  status.running_tasks = {3, 4};
  status.compiles = 1;
  status.compile_s = 2.5;
  status.compiling = true;
  status.results_dropped = 9;
  return status;
}

json parsed(const net::ClientReply& reply) { return json::parse(to_json(reply)); }

TEST(FarmOutputTest, EveryStateHasItsName) {
  const std::pair<net::JobState, std::string_view> names[] = {
      {net::JobState::kWaiting, "waiting"}, {net::JobState::kRunning, "running"}, {net::JobState::kPaused, "paused"},
      {net::JobState::kDone, "done"},       {net::JobState::kFailed, "failed"},   {net::JobState::kCancelled, "cancelled"}};
  for (const auto& [state, name] : names) EXPECT_EQ(to_string(state), name);
}

TEST(FarmOutputTest, JobAsJson) {
  const json job = parsed(sample_status());
  EXPECT_EQ(job["job"], "film-12345678");
  EXPECT_EQ(job["state"], "running");
  EXPECT_EQ(job["priority"], 5);
  EXPECT_EQ(job["frames_done"], 40);
  EXPECT_EQ(job["frames_total"], 100);
  EXPECT_EQ(job["submitted_s"], 10.5);
  EXPECT_EQ(job["revision"], 7);
  EXPECT_EQ(job["running_tasks"], json({3, 4}));
  EXPECT_EQ(job["compiling"], true);
  EXPECT_EQ(job["results_dropped"], 9);
  EXPECT_EQ(job["clips"][0]["segments"][0]["last"], 40);
  EXPECT_EQ(job["clips"][0]["segments"][0]["segment"], json({{"sha256", kHash}, {"bytes", 123}}));
  EXPECT_EQ(job["clips"][0]["warnings"][0], "a chapter was left out");
  const json lane = job["lanes"][0];
  EXPECT_EQ(json({lane["worker"], lane["lane"], lane["segments"], lane["frames"]}), json({"w1", 1, 2, 40}));
}

TEST(FarmOutputTest, EveryAnswerIsOneLineOfJson) {
  net::WorkerList workers;
  workers.workers.push_back({.worker = "w1", .connected = true, .lanes = {net::LaneStatus{}}, .pool = {}});
  const net::ClientReply replies[] = {net::Done{"note"},
                                      net::Refused{make_error(ErrorCode::kNotFound, "x: no such job")},
                                      net::JobList{{sample_status().summary}},
                                      sample_status(),
                                      workers,
                                      net::Explanation{{"because", "details"}},
                                      net::TaskLogs{{{1, "w1", LaneId{0}, "done", {}}}},
                                      net::Trace{},
                                      net::FarmStatus{}};
  for (const net::ClientReply& reply : replies) {
    const std::string text = to_json(reply);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_TRUE(json::parse(text).is_object()) << text;
  }
  EXPECT_EQ(parsed(workers)["workers"][0]["lanes"].size(), 1U);
  EXPECT_EQ(parsed(net::Explanation{{"because"}})["lines"], json({"because"}));
}

TEST(FarmOutputTest, WorkersAsJsonSayWhatTheirLanesAre) {
  net::WorkerStatus worker{.worker = "w1", .connected = true, .lanes = {}, .pool = "night", .compiles = true};
  net::LaneStatus lane;
  lane.offer.kind = {"sm_90", "avx512", "NVIDIA H100", 0, "0123abcd"};
  worker.lanes = {lane};
  const json one = parsed(net::WorkerList{{worker}})["workers"][0];
  EXPECT_EQ(one["pool"], "night");
  EXPECT_EQ(one["compiles"], true);
  const json& kind = one["lanes"][0];
  EXPECT_EQ(json({kind["arch"], kind["isa"], kind["device_name"], kind["threads"], kind["toolchain"]}),
            json({"sm_90", "avx512", "NVIDIA H100", 0, "0123abcd"}));
}

TEST(FarmOutputTest, WorkersSayWhichCardALaneHas) {
  net::WorkerStatus worker{.worker = "w1", .connected = true, .lanes = {}, .pool = {}};
  net::LaneStatus lane;
  lane.state = "idle";
  worker.lanes = {lane, lane};
  lane.offer.kind = {"sm_90", "avx512", "NVIDIA H100 80GB HBM3", 0, ""};
  lane.offer.card = {1, "GPU-7", "0000:0f:00.0", "580.95.05", "13.0", 85'520'809'984, 84'996'521'984, 524'288'000, true, 5, 16, 0, {}, 0};
  lane.offer.card.speed = {51.4, 380.2, 705.0, 712.0, 0.0, 2.9e12, 53.4e9, 52.1e9};
  lane.offer.card.context_bytes = 600U << 20U;
  worker.lanes[1] = lane;
  const json lanes = parsed(net::WorkerList{{worker}})["workers"][0]["lanes"];
  EXPECT_TRUE(lanes[0]["card"].is_null());
  const json& card = lanes[1]["card"];
  EXPECT_EQ(json({card["index"], card["uuid"], card["pci"], card["driver"], card["cuda"], card["fp8"]}),
            json({1, "GPU-7", "0000:0f:00.0", "580.95.05", "13.0", true}));
  EXPECT_EQ(json({card["memory_bytes"], card["free_bytes"], card["reserved_bytes"]}),
            json({85'520'809'984, 84'996'521'984, 524'288'000}));
  EXPECT_EQ(json({card["link_generation"], card["link_width"], card["numa_node"]}), json({5, 16, 0}));
  EXPECT_EQ(card["speed"]["float16_tflops"], 705.0);
  EXPECT_EQ(card["speed"]["to_host_bytes_per_s"], 52.1e9);
  EXPECT_EQ(card["context_bytes"], 600U << 20U);
  const std::string table = worker_table({{worker}});
  EXPECT_THAT(table, HasSubstr("sm_90"));
  EXPECT_THAT(table, HasSubstr("card 1: NVIDIA H100 80GB HBM3, 79.2 GiB of 79.6 GiB free when it started, driver 580.95.05, "
                               "CUDA 13.0, PCIe 5 x16, NUMA node 0\n"));
  EXPECT_THAT(table, HasSubstr("TFLOP/s: fp32 51, tf32 380, fp16 705, bf16 712; GB/s: memory 2900, to the card 53.4, from it 52.1\n"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 5);
}

TEST(FarmOutputTest, LogsAsJsonHoldTheTextOfTheAttemptThatIsShown) {
  const net::TaskLogs logs{{{1, "w1", LaneId{0}, "failed: x", {kHash, 4}}, {2, "w1", LaneId{0}, "running", {}}}};
  const json shown = json::parse(logs_json(logs, &logs.attempts[0], "on\xe9\n"));
  EXPECT_EQ(shown["attempts"].size(), 2U);
  EXPECT_EQ(shown["attempt"], 1);
  EXPECT_THAT(shown["text"].get<std::string>(), ::testing::StartsWith("on"));
  const json none = json::parse(logs_json(logs, nullptr, ""));
  EXPECT_TRUE(none["attempt"].is_null() && none["text"].is_null());
}

TEST(FarmOutputTest, GrantsDoNotShowWhatTheyAllow) {
  const std::string text = to_json(net::Grants{"http://h:1", "read-secret", "write-secret", 99});
  EXPECT_THAT(text, HasSubstr("http://h:1"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
}

TEST(FarmOutputTest, TextThatIsNoUtf8IsStillJson) {
  net::JobStatus status = sample_status();
  status.clips[0].source = "caf\xe9.mp4";
  EXPECT_THAT(parsed(status)["clips"][0]["source"].get<std::string>(), HasSubstr("caf"));
}

TEST(FarmOutputTest, TablesHaveARowForEachThing) {
  const std::string table = job_table({{sample_status().summary}});
  EXPECT_THAT(table, HasSubstr("film-12345678"));
  EXPECT_THAT(table, HasSubstr("40/100"));
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 2);
  const std::string text = job_text(sample_status());
  EXPECT_THAT(text, HasSubstr("in.mp4 -> out.mkv: 1 segments done"));
  EXPECT_THAT(text, HasSubstr("w1 lane 1: 2 segments, 40 frames"));
  EXPECT_THAT(text, HasSubstr("a chapter was left out"));
  EXPECT_THAT(job_line(sample_status()), HasSubstr("compiling"));
  EXPECT_EQ(job_line(sample_status()).find('\n'), std::string::npos);
}

TEST(FarmOutputTest, LanesOfWorkersSayWhyTheyDoNotWork) {
  net::LaneStatus lane;
  lane.offer.kind.isa = "avx2";
  lane.offer.budget_bytes = 512ULL << 20U;
  lane.state = "set aside";
  lane.why = "failed 3 times in a row";
  net::WorkerStatus worker{.worker = "w1", .connected = true, .lanes = {lane}, .pool = {}};
  EXPECT_THAT(worker_table({{worker}}), HasSubstr("failed 3 times in a row"));
  EXPECT_THAT(worker_table({{worker}}), HasSubstr("512 MiB"));
  worker.connected = false;
  worker.heard_s_ago = 42;
  EXPECT_THAT(worker_table({{worker}}), HasSubstr("silent for 42 s"));
}

TEST(FarmOutputTest, TraceHasAProcessForEachWorkerAndAThreadForEachLane) {
  net::Trace trace;
  trace.spans = {{1, 1, "probe", "w1", LaneId{0}, 100.0, 100.5, "done"},
                 {2, 1, "frames", "w2", LaneId{1}, 101.0, 103.0, "done"},
                 {3, 2, "join", "w1", LaneId{1}, 103.0, 104.0, "failed"}};
  const json events = json::parse(chrome_trace(trace))["traceEvents"];
  ASSERT_EQ(events.size(), 5U);  // two of them name the workers
  std::map<int, json> spans;
  std::map<int, std::string> names;
  for (const json& event : events) {
    if (event["ph"] == "M") names[event["pid"]] = event["args"]["name"];
    if (event["ph"] == "X") spans[event["args"]["task"]] = event;
  }
  EXPECT_EQ(names[spans[1]["pid"]], "w1");
  EXPECT_EQ(names[spans[2]["pid"]], "w2");
  EXPECT_EQ(spans[1]["pid"], spans[3]["pid"]);
  EXPECT_EQ(spans[3]["tid"], 1);
  EXPECT_EQ(spans[2]["dur"], 2e6);
  EXPECT_EQ(spans[3]["args"]["outcome"], "failed");
}

TEST(FarmOutputTest, StretchesOfALaneThatOverlapAreInRowsOfTheirOwn) {
  net::Trace trace;
  trace.spans = {{1, 1, "frames", "w1", LaneId{0}, 100.0, 110.0, "done"},
                 {2, 1, "frames", "w1", LaneId{0}, 108.0, 120.0, "done"},   // given ahead
                 {3, 1, "frames", "w1", LaneId{0}, 118.0, 130.0, "done"},
                 {4, 1, "join", "w1", LaneId{0}, 119.0, 125.0, "done"},
                 {5, 1, "frames", "w1", LaneId{1}, 100.0, 130.0, "done"}};
  std::map<int, std::uint64_t> rows;
  const json events = json::parse(chrome_trace(trace))["traceEvents"];
  for (const json& event : events) {
    if (event["ph"] == "X") rows[event["args"]["task"]] = event["tid"];
  }
  EXPECT_EQ(rows, (std::map<int, std::uint64_t>{{1, 0}, {2, net::kLanesMax}, {3, 0}, {4, 2 * net::kLanesMax}, {5, 1}}));
}

}  // namespace
}  // namespace kiln::cli
