// The simulator as a program, for longer runs and for one seed again: farm_sim [--seed N] [--seeds COUNT] [--bug NUMBER]
#include <fmt/core.h>

#include <cstdlib>
#include <cstring>

#include "tests/sim/sim_farm.h"

namespace {
constexpr std::uint64_t kSeedsPerLine = 1000;  // of progress
}

int main(int argc, char** argv) {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1000;
  kiln::sim::SimProfile profile;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto value = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0) first = value, seeds = 1;
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = value;
    if (std::strcmp(argv[i], "--bug") == 0) profile.bug = static_cast<kiln::coordinator::SeededBug>(value);
  }
  std::uint64_t events = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const auto result = kiln::sim::run_farm(seed, profile);
    events += result.events;
    if ((seed - first) % kSeedsPerLine == kSeedsPerLine - 1) fmt::print(stderr, "{} seeds, {} events\n", seed - first + 1, events);
    if (result.violation.empty()) continue;
    for (const std::string& line : result.last_events) fmt::print("{}\n", line);
    fmt::print("seed {}: {}\n", seed, result.violation);
    return 1;
  }
  fmt::print("{} seeds, {} events, no violation\n", seeds, events);
  return 0;
}
