// Adds the time of a scope to a counter of seconds: what passes, and what the thread uses of the processor.
#pragma once

#include <time.h>

#include <atomic>
#include <chrono>

namespace kiln::lane {

// CLOCK_THREAD_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID.
[[nodiscard]] inline double cpu_seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_;
};

// The second counter is one that other threads add to and read.
class CoreStopwatch {
 public:
  CoreStopwatch(double& seconds, std::atomic<double>& all)
      : seconds_(seconds), all_(all), start_(cpu_seconds(CLOCK_THREAD_CPUTIME_ID)) {}
  ~CoreStopwatch() {
    const double used = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - start_;
    seconds_ += used;
    all_.fetch_add(used);
  }
  CoreStopwatch(const CoreStopwatch&) = delete;
  CoreStopwatch& operator=(const CoreStopwatch&) = delete;

 private:
  double& seconds_;
  std::atomic<double>& all_;
  double start_;
};

}  // namespace kiln::lane
