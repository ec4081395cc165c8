#include "lane/gpu/cuda_stream.h"

#include <dlfcn.h>

#include <cstdint>
#include <utility>

#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/driver_symbol.h"

namespace kiln::lane {
namespace {

// ---- values of cuda.h ----
constexpr unsigned kStreamNonBlocking = 1;  // the default stream does not hold it up
constexpr unsigned kEventBlockingSync = 1;

constexpr double kMsPerSecond = 1e3;

}  // namespace

struct CudaQueueing::Functions {
  using Address = std::uintptr_t;  // CUdeviceptr
  int (*find_card)(int*, int) = nullptr;
  int (*primary_context)(CUctx_st**, int) = nullptr;
  int (*create_stream)(CUstream_st**, unsigned) = nullptr;
  int (*destroy_stream)(CUstream_st*) = nullptr;
  int (*hold_stream)(CUstream_st*, CUevent_st*, unsigned) = nullptr;
  int (*create_event)(CUevent_st**, unsigned) = nullptr;
  int (*destroy_event)(CUevent_st*) = nullptr;
  int (*record_event)(CUevent_st*, CUstream_st*) = nullptr;
  int (*wait_event)(CUevent_st*) = nullptr;
  int (*elapsed_ms)(float*, CUevent_st*, CUevent_st*) = nullptr;
  int (*copy_to_device)(Address, const void*, std::size_t, CUstream_st*) = nullptr;
  int (*wait_for_all)() = nullptr;
  int (*copy_to_host)(void*, Address, std::size_t, CUstream_st*) = nullptr;
};

namespace {

Result<std::shared_ptr<const CudaQueueing::Functions>> find_all() {
  void* library = ::dlopen(kCudaDriverName, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return fail(make_error(ErrorCode::kUnavailable, "no NVIDIA driver here"));
  auto out = std::make_shared<CudaQueueing::Functions>();
  KILN_TRY(find_driver_symbol(library, "cuDeviceGet", out->find_card));
  KILN_TRY(find_driver_symbol(library, "cuDevicePrimaryCtxRetain", out->primary_context));
  KILN_TRY(find_driver_symbol(library, "cuStreamCreate", out->create_stream));
  KILN_TRY(find_driver_symbol(library, "cuStreamDestroy_v2", out->destroy_stream));
  KILN_TRY(find_driver_symbol(library, "cuStreamWaitEvent", out->hold_stream));
  KILN_TRY(find_driver_symbol(library, "cuEventCreate", out->create_event));
  KILN_TRY(find_driver_symbol(library, "cuEventDestroy_v2", out->destroy_event));
  KILN_TRY(find_driver_symbol(library, "cuEventRecord", out->record_event));
  KILN_TRY(find_driver_symbol(library, "cuEventSynchronize", out->wait_event));
  KILN_TRY(find_driver_symbol(library, "cuEventElapsedTime", out->elapsed_ms));
  KILN_TRY(find_driver_symbol(library, "cuCtxSynchronize", out->wait_for_all));
  KILN_TRY(find_driver_symbol(library, "cuMemcpyHtoDAsync_v2", out->copy_to_device));
  KILN_TRY(find_driver_symbol(library, "cuMemcpyDtoHAsync_v2", out->copy_to_host));
  return std::shared_ptr<const CudaQueueing::Functions>(std::move(out));
}

std::uintptr_t address_of(const void* device) { return reinterpret_cast<std::uintptr_t>(device); }

}  // namespace

Result<std::shared_ptr<const CudaQueueing>> CudaQueueing::open(int card) {
  std::shared_ptr<CudaQueueing> out(new CudaQueueing());
  KILN_TRY_ASSIGN(out->driver_, CudaDriver::open());
  KILN_TRY_ASSIGN(out->functions_, find_all());
  int device = 0;
  KILN_TRY(out->check(out->functions_->find_card(&device, card), "cuDeviceGet"));
  // Never given back: it is the process's as long as that lives.
  KILN_TRY(out->check(out->functions_->primary_context(&out->context_, device), "cuDevicePrimaryCtxRetain"));
  KILN_TRY(out->enter());
  return std::shared_ptr<const CudaQueueing>(std::move(out));
}

Status CudaQueueing::enter() const {
  thread_local CUctx_st* entered = nullptr;
  if (entered == context_) return {};
  KILN_TRY(driver_->check(driver_->functions().set_current_context(context_), "cuCtxSetCurrent"));
  entered = context_;
  return {};
}

Status CudaQueueing::wait_for_all() const { return check(functions_->wait_for_all(), "cuCtxSynchronize"); }

Status CudaQueueing::check(int code, const char* call) const { return driver_->check(code, call); }

// ---- events ----

Result<CudaEvent> CudaEvent::create(std::shared_ptr<const CudaQueueing> queueing) {
  CudaEvent out;
  KILN_TRY(queueing->check(queueing->functions().create_event(&out.event_, kEventBlockingSync), "cuEventCreate"));
  out.queueing_ = std::move(queueing);
  return out;
}

CudaEvent::CudaEvent(CudaEvent&& other) noexcept
    : queueing_(std::move(other.queueing_)), event_(std::exchange(other.event_, nullptr)) {}

CudaEvent& CudaEvent::operator=(CudaEvent&& other) noexcept {
  std::swap(queueing_, other.queueing_);
  std::swap(event_, other.event_);
  return *this;
}

CudaEvent::~CudaEvent() {
  if (event_ != nullptr) queueing_->functions().destroy_event(event_);
}

Status CudaEvent::record(CUstream_st* stream) const {
  return queueing_->check(queueing_->functions().record_event(event_, stream), "cuEventRecord");
}

Status CudaEvent::wait() const {
  return queueing_->check(queueing_->functions().wait_event(event_), "cuEventSynchronize");
}

Status CudaEvent::hold(CUstream_st* stream) const {
  return queueing_->check(queueing_->functions().hold_stream(stream, event_, 0), "cuStreamWaitEvent");
}

Result<double> CudaEvent::seconds_since(const CudaEvent& begin) const {
  float ms = 0.0F;
  KILN_TRY(queueing_->check(queueing_->functions().elapsed_ms(&ms, begin.event_, event_), "cuEventElapsedTime"));
  return static_cast<double>(ms) / kMsPerSecond;
}

// ---- streams ----

Result<CudaStream> CudaStream::create(std::shared_ptr<const CudaQueueing> queueing) {
  CudaStream out;
  KILN_TRY(queueing->check(queueing->functions().create_stream(&out.stream_, kStreamNonBlocking), "cuStreamCreate"));
  out.queueing_ = std::move(queueing);
  return out;
}

CudaStream::CudaStream(CudaStream&& other) noexcept
    : queueing_(std::move(other.queueing_)), stream_(std::exchange(other.stream_, nullptr)) {}

CudaStream& CudaStream::operator=(CudaStream&& other) noexcept {
  std::swap(queueing_, other.queueing_);
  std::swap(stream_, other.stream_);
  return *this;
}

CudaStream::~CudaStream() {
  if (stream_ != nullptr) queueing_->functions().destroy_stream(stream_);
}

Status CudaStream::copy_to_device(void* device, const void* host, std::size_t bytes) const {
  return queueing_->check(queueing_->functions().copy_to_device(address_of(device), host, bytes, stream_), "cuMemcpyHtoDAsync");
}

Status CudaStream::copy_to_host(void* host, const void* device, std::size_t bytes) const {
  return queueing_->check(queueing_->functions().copy_to_host(host, address_of(device), bytes, stream_), "cuMemcpyDtoHAsync");
}

}  // namespace kiln::lane
