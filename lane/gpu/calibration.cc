#include "lane/gpu/calibration.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>

#include "base/log.h"
#include "lane/engine/torch_types.h"
#include "lane/gpu/card.h"
#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/cuda_stream.h"

namespace kiln::lane {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRuns = 5;  // the fastest counts: whatever else is there makes others slower
constexpr std::int64_t kWideSide = 4096;   // of matrices in float32
constexpr std::int64_t kSide = 8192;       // of narrower ones
constexpr std::int64_t kCopyBytes = 64 << 20;
constexpr std::int64_t kLargeCopies = 4;   // that many times: no cache holds it
constexpr double kTera = 1e12;
// Cards below have no such matrix units.
constexpr int kTf32Major = 8;
constexpr int kFp8Major = 8;
constexpr int kFp8Minor = 9;

// One card's stream, and what takes how long on it.
class Meter {
 public:
  static Result<Meter> open(const c10::Device& device) {
    KILN_TRY_ASSIGN(const auto queueing, CudaQueueing::open(device.index()));
    KILN_TRY_ASSIGN(CudaEvent begin, CudaEvent::create(queueing));
    KILN_TRY_ASSIGN(CudaEvent end, CudaEvent::create(queueing));
    const c10::impl::VirtualGuardImpl guard(device.type());
    const c10::Stream stream = guard.getStreamFromGlobalPool(device);
    return Meter(device, stream, static_cast<CUstream_st*>(guard.getStreamNativeHandle(stream)), std::move(begin), std::move(end));
  }

  // The thread's current stream, as long as it measures.
  [[nodiscard]] c10::Stream stream() const { return stream_; }

  // Of the fastest run; the first, which loads code, is not looked at.
  Result<double> seconds_of(const std::function<void()>& work) {
    double least = 0.0;
    work();
    for (int i = 0; i < kRuns; ++i) {
      KILN_TRY(begin_.record(native_));
      work();
      KILN_TRY(end_.record(native_));
      KILN_TRY(end_.wait());
      KILN_TRY_ASSIGN(const double seconds, end_.seconds_since(begin_));
      least = i == 0 ? seconds : std::min(least, seconds);
    }
    return least;
  }

  [[nodiscard]] at::Tensor make(at::IntArrayRef sizes, c10::ScalarType type) const {
    return at::zeros(sizes, at::TensorOptions().dtype(type).device(device_));
  }

 private:
  Meter(c10::Device device, c10::Stream stream, CUstream_st* native, CudaEvent begin, CudaEvent end)
      : device_(device), stream_(stream), native_(native), begin_(std::move(begin)), end_(std::move(end)) {}

  c10::Device device_;
  c10::Stream stream_;
  CUstream_st* native_;
  CudaEvent begin_;
  CudaEvent end_;
};

double rate_of(std::int64_t side, double seconds) {
  const auto length = static_cast<double>(side);
  return seconds > 0.0 ? 2.0 * length * length * length / seconds / kTera : 0.0;
}

// Values of zero draw less power than others, and a card that draws much runs slower: these are none.
at::Tensor filled(const Meter& meter, std::int64_t side, c10::ScalarType type) {
  return meter.make({side, side}, type).uniform_(-1.0, 1.0);
}

Result<double> product_rate(Meter& meter, std::int64_t side, c10::ScalarType type) {
  const at::Tensor a = filled(meter, side, type);
  const at::Tensor b = filled(meter, side, type);
  at::Tensor out = meter.make({side, side}, type);
  KILN_TRY_ASSIGN(const double seconds, meter.seconds_of([&] { at::mm_out(out, a, b); }));
  return rate_of(side, seconds);
}

Result<double> fp8_rate(Meter& meter) {
  const at::Tensor a = filled(meter, kSide, at::kHalf).to(at::kFloat8_e4m3fn);
  const at::Tensor b = filled(meter, kSide, at::kHalf).to(at::kFloat8_e4m3fn).t();  // it takes the second by columns
  const at::Tensor one = meter.make({}, at::kFloat).fill_(1.0);
  at::Tensor out;
  KILN_TRY_ASSIGN(const double seconds,
                  meter.seconds_of([&] { out = at::_scaled_mm(a, b, one, one, {}, {}, at::kBFloat16, true); }));
  return rate_of(kSide, seconds);
}

// What a lane runs: a convolution of a compact network. Its library's code stays on the card.
void run_convolution(const Meter& meter) {
  constexpr std::int64_t kChannels = 64;
  constexpr std::int64_t kPixels = 256;
  const at::Tensor x = meter.make({1, kChannels, kPixels, kPixels}, at::kHalf).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor weight = meter.make({kChannels, kChannels, 3, 3}, at::kHalf).contiguous(at::MemoryFormat::ChannelsLast);
  const std::array<std::int64_t, 2> one = {1, 1};
  (void)at::conv2d(x, weight, {}, one, one, one);
}

Status measure_copies(Meter& meter, CardCalibration& out) {
  const at::Tensor device = meter.make({kCopyBytes}, at::kByte);
  at::Tensor other = meter.make({kCopyBytes}, at::kByte);
  at::Tensor pinned = at::empty({kCopyBytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(true));
  const auto bytes = static_cast<double>(kCopyBytes);
  KILN_TRY_ASSIGN(const double there, meter.seconds_of([&] { other.copy_(pinned, true); }));
  KILN_TRY_ASSIGN(const double back, meter.seconds_of([&] { pinned.copy_(device, true); }));
  out.to_device_bytes_per_s = bytes / there;
  out.to_host_bytes_per_s = bytes / back;
  const at::Tensor large = meter.make({kLargeCopies * kCopyBytes}, at::kByte);
  at::Tensor target = meter.make({kLargeCopies * kCopyBytes}, at::kByte);
  KILN_TRY_ASSIGN(const double inside, meter.seconds_of([&] { target.copy_(large, true); }));
  out.memory_bytes_per_s = 2 * kLargeCopies * bytes / inside;
  return {};
}

Status measure_products(Meter& meter, const std::string& arch, CardCalibration& out) {
  const int number = std::atoi(arch.c_str() + arch.find('_') + 1);  // "sm_90"
  const int major = number / 10;
  KILN_TRY_ASSIGN(out.float32_tflops, product_rate(meter, kWideSide, at::kFloat));
  if (major >= kTf32Major) {
    at::globalContext().setAllowTF32CuBLAS(true);
    KILN_TRY_ASSIGN(out.tf32_tflops, product_rate(meter, kWideSide, at::kFloat));
    at::globalContext().setAllowTF32CuBLAS(false);
    KILN_TRY_ASSIGN(out.bfloat16_tflops, product_rate(meter, kSide, at::kBFloat16));
  }
  KILN_TRY_ASSIGN(out.float16_tflops, product_rate(meter, kSide, at::kHalf));
  if (number < kFp8Major * 10 + kFp8Minor) return {};
  try {
    KILN_TRY_ASSIGN(out.fp8_tflops, fp8_rate(meter));
  } catch (const std::exception&) {  // this LibTorch has none for this card
    log::debug("{}", error_from_torch_exception("products in fp8").message);
  }
  return {};
}

}  // namespace

Result<CardCalibration> calibrate_card(const std::string& device) {
  KILN_TRY_ASSIGN(const c10::Device card, open_device(device));
  if (card.is_cpu()) return fail(make_error(ErrorCode::kInvalidArgument, "the CPU is no card"));
  try {
    const c10::InferenceMode inference;
    (void)at::empty({1}, at::TensorOptions().dtype(at::kByte).device(card));  // LibTorch sets itself and the card up
    KILN_TRY_ASSIGN(Meter meter, Meter::open(card));
    const c10::StreamGuard guard(meter.stream());
    KILN_TRY_ASSIGN(const auto driver, CudaDriver::open());
    KILN_TRY_ASSIGN(const std::string arch, driver->current_arch());
    run_convolution(meter);
    KILN_TRY(check_card(device));
    KILN_TRY_ASSIGN(const CardUse use, card_use(device));
    CardCalibration out;
    out.free_bytes = use.free_bytes;
    out.reserved_bytes = use.reserved_bytes;
    const auto begin = Clock::now();
    KILN_TRY(measure_copies(meter, out));
    KILN_TRY(measure_products(meter, arch, out));
    out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    return out;
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("calibrating the card"));
  }
}

std::string to_json(const CardCalibration& one) {
  return fmt::format(
      R"({{"float32_tflops":{},"tf32_tflops":{},"float16_tflops":{},"bfloat16_tflops":{},"fp8_tflops":{},"memory_bytes_per_s":{},)"
      R"("to_device_bytes_per_s":{},"to_host_bytes_per_s":{},"free_bytes":{},"reserved_bytes":{},"seconds":{}}})",
      one.float32_tflops, one.tf32_tflops, one.float16_tflops, one.bfloat16_tflops, one.fp8_tflops, one.memory_bytes_per_s,
      one.to_device_bytes_per_s, one.to_host_bytes_per_s, one.free_bytes, one.reserved_bytes, one.seconds);
}

}  // namespace kiln::lane
