// A farm whose job is at its segments.
#pragma once

#include <vector>

#include "tests/coordinator/farm_env.h"

namespace kiln::coordinator::test {

// A farm in which one job's clip was probed and its compile is out; what comes next are segments.
struct ProbedFarm : FarmEnv {
  explicit ProbedFarm(const JobBuilder& job, int lanes = 1) {
    connect(WorkerBuilder("a", lanes));
    submit(job);
    const net::Assign probe = take_assign("a");
    EXPECT_TRUE(std::holds_alternative<net::ProbeSpec>(probe.spec));
    finish("a", probe);
    for (net::Assign& task : take_assigns("a")) {
      if (std::holds_alternative<net::CompileSpec>(task.spec)) {
        compile = task;
      } else {
        segments.push_back(task);
      }
    }
  }
  net::Assign compile;
  std::vector<net::Assign> segments;
};

inline const net::SegmentSpec& segment(const net::Assign& task) { return std::get<net::SegmentSpec>(task.spec); }

}  // namespace kiln::coordinator::test
