#include "lane/gpu/cuda_transfer.h"

#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <vector>

#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/cuda_stream.h"
#include "lane/gpu/driver_symbol.h"

namespace kiln::lane {
namespace {

// ---- values of cuda.h ----
constexpr int kNotReady = 600;
constexpr unsigned kEventDisableTiming = 2;

struct Functions {
  int (*create_event)(CUevent_st**, unsigned) = nullptr;
  int (*destroy_event)(CUevent_st*) = nullptr;
  int (*record_event)(CUevent_st*, CUstream_st*) = nullptr;
  int (*query_event)(CUevent_st*) = nullptr;
  int (*wait_stream)(CUstream_st*) = nullptr;
  int (*allocate_pinned)(void**, std::size_t, unsigned) = nullptr;
  int (*free_pinned)(void*) = nullptr;

  Status find_all() {
    void* library = ::dlopen(kCudaDriverName, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return fail(make_error(ErrorCode::kUnavailable, "no NVIDIA driver here"));
    KILN_TRY(find_driver_symbol(library, "cuEventCreate", create_event));
    KILN_TRY(find_driver_symbol(library, "cuEventDestroy_v2", destroy_event));
    KILN_TRY(find_driver_symbol(library, "cuEventRecord", record_event));
    KILN_TRY(find_driver_symbol(library, "cuEventQuery", query_event));
    KILN_TRY(find_driver_symbol(library, "cuStreamSynchronize", wait_stream));
    KILN_TRY(find_driver_symbol(library, "cuMemHostAlloc", allocate_pinned));
    return find_driver_symbol(library, "cuMemFreeHost", free_pinned);
  }
};

// Of the thread that made it, whose context is the card's.
class CudaTransfer final : public TransferDevice {
 public:
  Status open(int card) {
    KILN_TRY(functions_.find_all());
    KILN_TRY_ASSIGN(queueing_, CudaQueueing::open(card));
    for (Order& order : orders_) {
      KILN_TRY_ASSIGN(CudaStream stream, CudaStream::create(queueing_));
      order.stream = std::make_unique<CudaStream>(std::move(stream));
      for (CUevent_st*& mark : order.marks) {
        KILN_TRY(queueing_->check(functions_.create_event(&mark, kEventDisableTiming), "cuEventCreate"));
      }
    }
    return {};
  }
  ~CudaTransfer() override {
    for (const Order& order : orders_) {
      for (CUevent_st* mark : order.marks) {
        if (mark != nullptr) functions_.destroy_event(mark);
      }
    }
    if (staging_ != nullptr) functions_.free_pinned(staging_);
  }

  Status enter() override {
    KILN_TRY(queueing_->enter());
    return queueing_->check(functions_.wait_stream(nullptr), "cuStreamSynchronize");  // LibTorch's, where its memory was used
  }

  Result<std::byte*> staging(std::size_t bytes) override {
    if (bytes > staging_bytes_) {
      if (staging_ != nullptr) functions_.free_pinned(std::exchange(staging_, nullptr));
      staging_bytes_ = 0;
      KILN_TRY(queueing_->check(functions_.allocate_pinned(&staging_, bytes, 0), "cuMemHostAlloc"));
      staging_bytes_ = bytes;
    }
    return static_cast<std::byte*>(staging_);
  }

  Status copy(std::byte* to, const std::byte* staged, std::size_t bytes) override {
    return of(TransferOrder::kCopies).stream->copy_to_device(to, staged, bytes);
  }
  CUstream_st* broadcasts() override { return of(TransferOrder::kBroadcasts).stream->get(); }

  Status mark(TransferOrder order, std::size_t slot) override {
    return queueing_->check(functions_.record_event(of(order).marks.at(slot), of(order).stream->get()), "cuEventRecord");
  }
  Result<bool> is_reached(TransferOrder order, std::size_t slot) override {
    const int code = functions_.query_event(of(order).marks.at(slot));
    if (code == kNotReady) return false;
    KILN_TRY(queueing_->check(code, "cuEventQuery"));
    return true;
  }

 private:
  struct Order {
    std::unique_ptr<CudaStream> stream;
    std::array<CUevent_st*, kTransferSlots> marks{};
  };
  Order& of(TransferOrder order) { return orders_.at(static_cast<std::size_t>(order)); }

  Functions functions_;
  std::shared_ptr<const CudaQueueing> queueing_;
  std::array<Order, 2> orders_;
  void* staging_ = nullptr;
  std::size_t staging_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<TransferDevice>> open_cuda_transfer(int card) {
  auto out = std::make_unique<CudaTransfer>();
  KILN_TRY(out->open(card));
  return std::unique_ptr<TransferDevice>(std::move(out));
}

}  // namespace kiln::lane
