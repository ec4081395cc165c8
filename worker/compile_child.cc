#include "worker/compile_child.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "worker/compile_process.h"

namespace kiln::worker {
namespace {

using Clock = std::chrono::steady_clock;

// After a child could not even start, the next request tries again; warming up alone does not.
struct Queued {
  CompileTicket ticket = 0;
  CompileRequest request;
  CompileDone done;
};

}  // namespace

// The thread that owns the process, and what others may touch (under mutex_).
class CompileChild::Owner {
 public:
  explicit Owner(CompileChildOptions options)
      : options_(std::move(options)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    KILN_CHECK(wake_.valid(), "eventfd: {}", errno);
    thread_ = std::thread([this] { run(); });
  }

  ~Owner() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      stop_current_ = true;
    }
    wake();
    thread_.join();
  }

  void warm_up() {
    {
      const std::lock_guard lock(mutex_);
      warm_wanted_ = true;
    }
    changed_.notify_one();
  }

  Result<CompileTicket> submit(CompileRequest request, CompileDone done) {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kCompileQueueMax) {
      return fail(make_error(ErrorCode::kResourceExhausted, "{} compiles wait already", queue_.size()));
    }
    queue_.push_back({++last_ticket_, std::move(request), std::move(done)});
    changed_.notify_one();
    return last_ticket_;
  }

  void cancel(CompileTicket ticket) {
    std::optional<Queued> found;
    {
      const std::lock_guard lock(mutex_);
      if (ticket == current_) stop_current_ = true;
      for (auto it = queue_.begin(); it != queue_.end(); ++it) {
        if (it->ticket != ticket) continue;
        found = std::move(*it);
        queue_.erase(it);
        break;
      }
      // Delivered by the owner thread, as every answer is.
      if (found) cancelled_.push_back(std::move(*found));
    }
    wake();
  }

  void leave() {
    std::unique_lock lock(mutex_);
    if (ending_) return;
    leave_wanted_ = true;
    changed_.notify_one();
    left_.wait(lock, [&] { return !leave_wanted_; });
  }

  CompileChildStats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

  pid_t pid() const { return pid_; }

 private:
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
    changed_.notify_one();
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!ending_) {
      changed_.wait(lock, [&] { return ending_ || leave_wanted_ || !queue_.empty() || !cancelled_.empty() || warm_wanted_; });
      if (ending_) break;
      if (leave_wanted_) {
        drop_unlocked(lock);
        leave_wanted_ = false;
        left_.notify_all();
      } else if (!cancelled_.empty()) {
        deliver_cancelled(lock);
      } else if (!queue_.empty()) {
        Queued next = std::move(queue_.front());
        queue_.pop_front();
        begin(next.ticket);
        lock.unlock();
        serve(next);
        lock.lock();
        current_ = 0;
        if (options_.leaves_when_idle && queue_.empty()) drop_unlocked(lock);
      } else {
        warm_wanted_ = false;
        begin(0);
        lock.unlock();
        if (auto started = ensure_process(); !started) {  // a request tries again, and says why if it must
          log::debug("{}", started.error().message);
        }
        lock.lock();
      }
    }
    for (auto& queued : queue_) cancelled_.push_back(std::move(queued));
    queue_.clear();
    deliver_cancelled(lock);
    lock.unlock();
    drop_process();
  }

  // Under the lock: whatever woke us before belongs to something older.
  void begin(CompileTicket ticket) {
    current_ = ticket;
    stop_current_ = ending_;
    std::uint64_t count = 0;
    while (::read(wake_.get(), &count, sizeof count) > 0) {
    }
  }

  void deliver_cancelled(std::unique_lock<std::mutex>& lock) {
    std::deque<Queued> cancelled;
    cancelled.swap(cancelled_);
    lock.unlock();
    for (auto& queued : cancelled) queued.done(fail(make_error(ErrorCode::kCancelled, "cancelled")));
    lock.lock();
  }

  void serve(Queued& next) {
    Result<CompiledLibrary> result = compile(next);
    {
      const std::lock_guard lock(mutex_);
      ++(result ? stats_.compiles : stats_.failures);
    }
    next.done(std::move(result));
  }

  Result<CompiledLibrary> compile(const Queued& next) {
    KILN_TRY(ensure_process());
    auto result = process_->compile(next.request, next.ticket, {&stop_current_, wake_.get()});
    if (result) return std::move(*result);
    if (!result.error().refused) drop_process();
    return fail(std::move(result.error().error));
  }

  Status ensure_process() {
    if (process_ && !process_->healthy()) {
      log::warn("compile child {} ended while it had nothing to do; starting another", pid_.load());
      drop_process();
    }
    if (process_) return {};
    const auto started = Clock::now();
    auto process = CompileProcess::start(options_, {&stop_current_, wake_.get()});
    {
      const std::lock_guard lock(mutex_);
      ++stats_.starts;
    }
    if (!process) return fail(process.error().with_context("compile child"));
    process_ = std::move(*process);
    pid_ = process_->pid();
    const bool first = note_start(std::chrono::duration<double>(Clock::now() - started).count());
    if (first && !process_->confinement().complete()) {
      log::warn("this kernel confines the compile child only in part: {}", process_->confinement().describe());
    }
    return {};
  }

  bool note_start(double seconds) {
    const std::lock_guard lock(mutex_);
    const bool first = stats_.confinement.empty();
    stats_.confinement = process_->confinement().describe();
    stats_.start_s = seconds;
    return first;
  }

  void drop_unlocked(std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    drop_process();
    lock.lock();
  }

  void drop_process() {
    pid_ = -1;
    process_.reset();
  }

  const CompileChildOptions options_;
  UniqueFd wake_;
  std::atomic<bool> stop_current_{false};
  std::atomic<pid_t> pid_{-1};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Queued> queue_;
  std::deque<Queued> cancelled_;
  CompileTicket last_ticket_ = 0;
  CompileTicket current_ = 0;  // 0: none
  bool warm_wanted_ = false;
  bool leave_wanted_ = false;
  std::condition_variable left_;
  bool ending_ = false;
  CompileChildStats stats_;

  std::unique_ptr<CompileProcess> process_;  // of the thread alone
  std::thread thread_;
};

CompileChild::CompileChild(CompileChildOptions options) : owner_(std::make_unique<Owner>(std::move(options))) {}
CompileChild::~CompileChild() = default;

void CompileChild::warm_up() { owner_->warm_up(); }
Result<CompileTicket> CompileChild::submit(CompileRequest request, CompileDone done) {
  return owner_->submit(std::move(request), std::move(done));
}
void CompileChild::leave() { owner_->leave(); }
void CompileChild::cancel(CompileTicket ticket) { owner_->cancel(ticket); }
CompileChildStats CompileChild::stats() const { return owner_->stats(); }
pid_t CompileChild::pid() const { return owner_->pid(); }

}  // namespace kiln::worker
