// Brings the weights that come next from the disk into the host's memory, while the device computes with others.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "lane/engine/generator_package.h"

namespace kiln::lane {

// A thread that reads the files of one of the manifest's [[weights]] once, from front to back, so that the kernel has them when they
// are copied. It keeps nothing itself: what the kernel gives up again is read anew by whoever needs it, and so is what cannot
// be read, with its error. Ends early when this is destroyed.
class WeightReadAhead {
 public:
  // `package` is borrowed and lives longer.
  WeightReadAhead(const GeneratorPackage& package, std::string weights);
  WeightReadAhead(const WeightReadAhead&) = delete;
  WeightReadAhead& operator=(const WeightReadAhead&) = delete;
  ~WeightReadAhead() = default;

  // Waits for the end of it; bytes that were read.
  std::uint64_t finish();

 private:
  void read_all(const std::stop_token& stop, const GeneratorPackage& package, const std::string& weights);

  std::atomic<std::uint64_t> bytes_{0};
  std::jthread thread_;  // last: it uses the others
};

}  // namespace kiln::lane
