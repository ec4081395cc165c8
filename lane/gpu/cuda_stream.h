// Work in order on a card, beside other such orders: streams and the events between them. All in the driver's interface,
// so that a waiting thread sleeps: LibTorch's own events spin.
#pragma once

#include <cstddef>
#include <memory>

#include "base/result.h"

struct CUevent_st;
struct CUstream_st;
struct CUctx_st;

namespace kiln::lane {

// The driver's functions for it, and the card's primary context, which is LibTorch's. Any thread.
class CudaQueueing {
 public:
  // `card`: N of "cuda:N". That context becomes the calling thread's: LibTorch does so only once it has to ask the driver for
  // something, and its allocator often has not.
  [[nodiscard]] static Result<std::shared_ptr<const CudaQueueing>> open(int card);
  // Makes that context the calling thread's. Cheap after the first time.
  [[nodiscard]] Status enter() const;
  // Of the calling thread's context.
  [[nodiscard]] Status wait_for_all() const;

  struct Functions;
  [[nodiscard]] const Functions& functions() const { return *functions_; }
  [[nodiscard]] Status check(int code, const char* call) const;

 private:
  CudaQueueing() = default;
  std::shared_ptr<const Functions> functions_;
  std::shared_ptr<const class CudaDriver> driver_;
  CUctx_st* context_ = nullptr;
};

// A place in a stream's order. Waiting for one that was never recorded returns at once.
class CudaEvent {
 public:
  [[nodiscard]] static Result<CudaEvent> create(std::shared_ptr<const CudaQueueing> queueing);
  CudaEvent(CudaEvent&&) noexcept;
  CudaEvent& operator=(CudaEvent&&) noexcept;
  ~CudaEvent();

  [[nodiscard]] Status record(CUstream_st* stream) const;
  // Sleeps until all before it is done. What went wrong on the card is said here.
  [[nodiscard]] Status wait() const;
  // The stream goes on when all before it is done; the caller at once.
  [[nodiscard]] Status hold(CUstream_st* stream) const;
  // Both must be done.
  [[nodiscard]] Result<double> seconds_since(const CudaEvent& begin) const;

 private:
  CudaEvent() = default;
  std::shared_ptr<const CudaQueueing> queueing_;
  CUevent_st* event_ = nullptr;
};

class CudaStream {
 public:
  [[nodiscard]] static Result<CudaStream> create(std::shared_ptr<const CudaQueueing> queueing);
  CudaStream(CudaStream&&) noexcept;
  CudaStream& operator=(CudaStream&&) noexcept;
  ~CudaStream();

  // `host` is pinned memory; both stay as they are until an event behind the copy.
  [[nodiscard]] Status copy_to_device(void* device, const void* host, std::size_t bytes) const;
  [[nodiscard]] Status copy_to_host(void* host, const void* device, std::size_t bytes) const;
  [[nodiscard]] CUstream_st* get() const { return stream_; }

 private:
  CudaStream() = default;
  std::shared_ptr<const CudaQueueing> queueing_;
  CUstream_st* stream_ = nullptr;
};

}  // namespace kiln::lane
