// Where a lane's kernels come from: what its worker found in the store, else NVRTC.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "lane/gpu/kernel_module.h"

namespace kiln::lane {

// A worker that was asked answers from its memory or the store. Compiling takes hardly longer than this.
inline constexpr std::chrono::milliseconds kKernelAnswerDeadline{1'000};

// Thread-safe: the session's thread says what the worker said, pipelines take. Loads once; all share the module.
class KernelSupply {
 public:
  // The worker was asked for kernels of that arch and will answer with one of the two below.
  void expect(std::string arch);
  void offer(std::string image);  // a cubin for this lane's card, already admitted
  void offer_none();

  [[nodiscard]] std::string arch() const;  // that was asked for

  // For a thread with the card's context. Waits for an answer that is due, though not long. An image that does not load
  // is no error either: then the kernels are compiled here.
  [[nodiscard]] Result<std::shared_ptr<const KernelModule>> module();
  [[nodiscard]] bool compiled_here() const;

 private:
  enum class Answer { kNone, kDue, kHere };

  [[nodiscard]] std::optional<std::string> image();

  mutable std::mutex mutex_;
  std::condition_variable answered_;
  Answer answer_ = Answer::kNone;
  std::string arch_;
  std::string image_;
  std::mutex loading_;  // held while a module is loaded or made
  std::shared_ptr<const KernelModule> module_;
  bool compiled_here_ = false;
};

}  // namespace kiln::lane
