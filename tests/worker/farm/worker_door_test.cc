#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http_client.h"
#include "worker/worker_metrics.h"

namespace kiln::worker {
namespace {

using ::testing::HasSubstr;

std::string ask(const WorkerDoor& door, const std::string& path) {
  net::HttpClientOptions options;
  options.server = *net::parse_host_port(door.address());
  net::HttpClient client(options);
  const auto answer = client.get(path, 1U << 20U);
  return answer ? answer->body : "refused: " + answer.error().message;
}

TEST(WorkerDoorTest, SaysWhatWasPublishedLast) {
  const auto door = WorkerDoor::open("127.0.0.1:0");
  ASSERT_TRUE(door) << door.error().message;
  EXPECT_THAT(ask(**door, "/readyz"), HasSubstr("the worker is starting"));
  (*door)->publish("kiln_one 1\n", "no lane is up");
  EXPECT_EQ(ask(**door, "/metrics"), "kiln_one 1\n");
  EXPECT_THAT(ask(**door, "/readyz"), HasSubstr("no lane is up"));
  EXPECT_EQ(ask(**door, "/healthz"), "{\"healthy\":true}\n");
  (*door)->publish("kiln_one 2\n", "");
  EXPECT_EQ(ask(**door, "/metrics"), "kiln_one 2\n");
  EXPECT_EQ(ask(**door, "/readyz"), "{\"ready\":true}\n");
  EXPECT_THAT(ask(**door, "/other"), HasSubstr("refused: "));
}

TEST(WorkerDoorTest, APortInUseIsRefused) {
  const auto door = WorkerDoor::open("127.0.0.1:0");
  ASSERT_TRUE(door);
  EXPECT_FALSE(WorkerDoor::open((*door)->address()));
  EXPECT_FALSE(WorkerDoor::open("nowhere"));
}

TEST(WorkerDoorTest, LanesTasksTransfersAndCompilesAreCounted) {
  WorkerState state;
  state.slots[LaneId{0}].status = SlotStatus::kUp;
  state.slots[LaneId{1}].status = SlotStatus::kDown;
  state.slots[kCompileSlot].status = SlotStatus::kUp;  // no lane
  state.counters.results = 7;
  state.counters.failed[net::FailureKind::kCrash] = 2;
  WorkerStats stats;
  stats.cache.evictions = 3;
  stats.cache_budget_bytes = 99;
  stats.traffic.fetched_bytes = 1'000;
  stats.traffic.stores_failed = 4;
  state.counters.transfers_given_up = 8;
  state.counters.lanes_stuck = 9;
  state.counters.ended_forgotten = 10;
  stats.transfers_full = 11;
  stats.attempt_logs_cut = 12;
  stats.lane_logs_emptied = 13;
  stats.compiles = {5, 6, 4, 1, 2, std::chrono::milliseconds(1'500)};
  const std::string text = worker_metrics(state, stats);
  for (const char* line : {"kiln_worker_lanes{state=\"up\"} 1\n", "kiln_worker_lanes{state=\"down\"} 1\n",
                           "kiln_worker_tasks_total{outcome=\"done\"} 7\n", "kiln_worker_tasks_total{outcome=\"crash\"} 2\n",
                           "kiln_worker_tasks_total{outcome=\"hang\"} 0\n", "kiln_worker_cache_evictions_total 3\n",
                           "kiln_worker_cache_budget_bytes 99\n", "kiln_worker_fetched_bytes_total 1000\n",
                           "kiln_worker_transfers_failed_total{way=\"store\"} 4\n",
                           "kiln_worker_compiles_total{outcome=\"found\"} 6\n", "kiln_worker_compile_milliseconds_total 1500\n",
                           "kiln_worker_compile_kills_total{why=\"deadline\"} 1\n",
                           "kiln_worker_compile_kills_total{why=\"memory\"} 2\n", "kiln_worker_connected 0\n",
                           "kiln_worker_transfers_given_up_total 8\n", "kiln_worker_lanes_stuck_total 9\n",
                           "kiln_worker_ended_forgotten_total 10\n", "kiln_worker_transfers_full_total 11\n",
                           "kiln_worker_logs_cut_total{of=\"attempt\"} 12\n", "kiln_worker_logs_cut_total{of=\"lane\"} 13\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace kiln::worker
