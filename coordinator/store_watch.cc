#include "coordinator/store_watch.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/log.h"
#include "base/wall_clock.h"

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

// Grants are signed with this machine's time and expire by the store's. A store that says no time is of a version before.
Status check_clock(std::string_view answer) {
  constexpr std::string_view kField = "\"unix_s\":";
  const std::size_t at = answer.find(kField);
  if (at == std::string_view::npos) return {};
  std::int64_t there = 0;
  const std::string_view digits = answer.substr(at + kField.size());
  if (std::from_chars(digits.data(), digits.data() + digits.size(), there).ec != std::errc()) return {};
  const std::int64_t ahead_s = there - unix_seconds();
  if (std::abs(ahead_s) <= kClockDifferenceS) return {};
  return fail(make_error(ErrorCode::kFailedPrecondition,
                         "its clock is {} s {} of the coordinator's: what is signed here expires {} there; set both by the same time",
                         std::abs(ahead_s), ahead_s > 0 ? "ahead" : "behind", ahead_s > 0 ? "too early" : "too late"));
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
    const bool was_good = status_.has_value();
    const Status found = answer ? check_clock(answer->body) : Status(fail(answer.error()));
    stats_.up = answer.has_value();
    ++stats_.checks;
    stats_.failures += found ? 0U : 1U;
    status_ = found ? Status() : Status(fail(found.error().with_context("the store")));
    // At the start it may just not be there yet; a clock does not come right by waiting.
    if (!found && (was_good || (answer && stats_.checks == 1))) log::warn("{}", status_.error().message);
    if (wake_.wait_for(lock, look_, [this] { return ending_; })) return;
  }
}

}  // namespace kiln::coordinator
