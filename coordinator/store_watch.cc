#include "coordinator/store_watch.h"

#include "base/log.h"

namespace kiln::coordinator {
namespace {

constexpr std::chrono::milliseconds kConnectDeadline{1'000};
constexpr std::chrono::milliseconds kAnswerDeadline{3'000};
constexpr std::uint64_t kAnswerBytesMax = 64U << 10U;

net::HttpClientOptions client_options(const net::HostPort& store) {
  net::HttpClientOptions options;
  options.server = store;
  options.connect_deadline = kConnectDeadline;
  options.answer_deadline = kAnswerDeadline;
  return options;
}

}  // namespace

StoreWatch::StoreWatch(const net::HostPort& store, std::chrono::milliseconds look)
    : look_(look), client_(client_options(store)),
      status_(fail(make_error(ErrorCode::kUnavailable, "the store was not asked yet"))), thread_([this] { work(); }) {}

StoreWatch::~StoreWatch() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  client_.abort();
  thread_.join();
}

Status StoreWatch::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

StoreWatchStats StoreWatch::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void StoreWatch::work() {
  for (;;) {
    const auto answer = client_.get("/readyz", kAnswerBytesMax);
    std::unique_lock lock(mutex_);
    if (ending_) return;
    const bool was_up = stats_.up;
    stats_.up = answer.has_value();
    ++stats_.checks;
    stats_.failures += answer ? 0U : 1U;
    status_ = answer ? Status() : Status(fail(answer.error().with_context("the store")));
    if (was_up && !answer) log::warn("{}", status_.error().message);
    if (wake_.wait_for(lock, look_, [this] { return ending_; })) return;
  }
}

}  // namespace kiln::coordinator
