// Whether the store answers: asked now and then on a thread of its own, remembered for whoever wants to know.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "net/http_client.h"

namespace kiln::coordinator {

inline constexpr std::chrono::milliseconds kStoreLook{2'000};
inline constexpr std::int64_t kClockDifferenceS = 900;  // a quarter of what a grant lasts

struct StoreWatchStats {
  bool up = false;
  std::uint64_t checks = 0;
  std::uint64_t failures = 0;
};

class StoreWatch {
 public:
  explicit StoreWatch(const net::HostPort& store, std::chrono::milliseconds look = kStoreLook);
  ~StoreWatch();
  StoreWatch(const StoreWatch&) = delete;
  StoreWatch& operator=(const StoreWatch&) = delete;

  // As it was last found; any thread.
  [[nodiscard]] Status status() const;
  [[nodiscard]] StoreWatchStats stats() const;

 private:
  void work();

  const std::chrono::milliseconds look_;
  net::HttpClient client_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Status status_;
  StoreWatchStats stats_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace kiln::coordinator
