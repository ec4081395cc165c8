// The kernels on a card against FrameConverter, and how long they take. Skipped, with the reason, where there is none.
// Times are printed as JSON, a line each.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "lane/engine/torch_types.h"
#include "lane/gpu/frame_kernels.h"
#include "lane/gpu/resample_kernels.h"
#include "lane/media/color/lanczos.h"
#include "tests/lane/gpu/frame_cases.h"

namespace kiln::lane {
namespace {

constexpr RgbType kTypes[] = {RgbType::kFloat32, RgbType::kFloat16, RgbType::kBfloat16};

c10::ScalarType scalar_of(RgbType type) {
  if (type == RgbType::kFloat16) return c10::ScalarType::Half;
  return type == RgbType::kBfloat16 ? c10::ScalarType::BFloat16 : c10::ScalarType::Float;
}

at::Tensor bytes_tensor(std::vector<std::byte>& bytes) {
  return at::from_blob(bytes.data(), {static_cast<std::int64_t>(bytes.size())}, c10::ScalarType::Byte);
}

at::Tensor float_tensor(std::vector<float>& values) {
  return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, c10::ScalarType::Float);
}

std::vector<std::byte> bytes_on_host(const at::Tensor& device) {
  const at::Tensor host = device.cpu();
  const auto* first = static_cast<const std::byte*>(host.const_data_ptr());
  return {first, first + host.numel()};
}

std::vector<float> floats_on_host(const at::Tensor& device) {
  const at::Tensor host = device.cpu().to(c10::ScalarType::Float);
  const auto* first = host.const_data_ptr<float>();
  return {first, first + host.numel()};
}

class FrameKernelsCudaTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto device = open_device("cuda:0");
    if (!device) {
      reason = device.error().message;
      return;
    }
    const at::Tensor context = at::empty({1}, at::TensorOptions().device(*device));
    const auto started = std::chrono::steady_clock::now();
    auto loaded = load_own_kernels();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (!loaded) {
      failure = loaded.error().message;
      return;
    }
    fmt::print(stderr, "{{\"what\": \"compile and load\", \"seconds\": {:.3f}}}\n", seconds);
    module = *loaded;
  }
  static void TearDownTestSuite() { module.reset(); }

  void SetUp() override {
    if (!reason.empty()) GTEST_SKIP() << reason;
    ASSERT_EQ(failure, "");
  }

  [[nodiscard]] static FrameKernels kernels_of(const FrameKernelsSetup& setup) {
    auto kernels = FrameKernels::create(module, setup);
    KILN_CHECK(kernels.has_value(), "{}", kernels.error().message);
    return *std::move(kernels);
  }

  [[nodiscard]] static c10::Stream stream() { return c10::impl::getDeviceGuardImpl(kDevice.type())->getStream(kDevice); }
  [[nodiscard]] static at::Tensor on_card(std::int64_t count, c10::ScalarType type) {
    return at::empty({count}, at::TensorOptions().device(kDevice).dtype(type));
  }

  inline static const c10::Device kDevice{c10::DeviceType::CUDA, 0};
  static std::shared_ptr<const KernelModule> module;
  static std::string reason;
  static std::string failure;
};
std::shared_ptr<const KernelModule> FrameKernelsCudaTest::module;
std::string FrameKernelsCudaTest::reason;
std::string FrameKernelsCudaTest::failure;

// How far results are from the reference, over many frames.
struct Differences {
  int frames = 0;
  int frames_that_differ = 0;
  double largest = 0.0;

  void add(double largest_of_frame, bool same_bits) {
    ++frames;
    if (!same_bits) ++frames_that_differ;
    largest = std::max(largest, largest_of_frame);
  }
  void print(const char* what) const {
    fmt::print(stderr, "{{\"what\": \"{}\", \"frames\": {}, \"frames_that_differ\": {}, \"largest\": {:.3g}}}\n", what, frames,
               frames_that_differ, largest);
  }
};

double largest_of(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  return largest;
}

TEST_F(FrameKernelsCudaTest, PlanesToRgbHasTheReferencesBitsForEveryFormat) {
  Differences seen;
  for (auto [setup, name] : frame_cases({{67, 35}, {200, 120}})) {
    auto planes = noisy_planes(setup.format, setup.width, setup.height);
    auto reference = rgb_of(converter_of(setup), planes);
    const at::Tensor on_device = bytes_tensor(planes).to(kDevice);
    for (const RgbType type : kTypes) {
      setup.rgb_type = type;
      const at::Tensor rgb = on_card(static_cast<std::int64_t>(reference.size()), scalar_of(type));
      const auto status = kernels_of(setup).to_rgb(on_device.const_data_ptr(), rgb.mutable_data_ptr(), stream().native_handle());
      ASSERT_TRUE(status) << status.error().message;
      const auto expected = floats_on_host(float_tensor(reference).to(scalar_of(type)));
      const auto got = floats_on_host(rgb);
      seen.add(largest_of(got, expected), got == expected);
      ASSERT_LE(seen.largest, 1e-5) << name;
    }
  }
  seen.print("planes to RGB");
  EXPECT_EQ(seen.frames_that_differ, 0);
}

TEST_F(FrameKernelsCudaTest, RgbToPlanesHasTheReferencesCodesForEveryFormat) {
  Differences seen;
  for (auto [setup, name] : frame_cases({{67, 35}, {200, 120}})) {
    auto noise = noisy_rgb(setup.width, setup.height);
    for (const RgbType type : kTypes) {
      setup.rgb_type = type;
      const at::Tensor rgb = float_tensor(noise).to(scalar_of(type));
      const at::Tensor on_device = rgb.to(kDevice);
      const FrameKernels kernels = kernels_of(setup);
      const at::Tensor planes = on_card(static_cast<std::int64_t>(kernels.frame_bytes()), c10::ScalarType::Byte);
      const auto status = kernels.from_rgb(on_device.const_data_ptr(), planes.mutable_data_ptr(), stream().native_handle());
      ASSERT_TRUE(status) << status.error().message;
      const auto expected = planes_of(converter_of(setup), floats_on_host(rgb));
      const auto got = bytes_on_host(planes);
      seen.add(largest_difference(codes_of(setup.format, got), codes_of(setup.format, expected)), got == expected);
      ASSERT_LE(seen.largest, 1) << name;
    }
  }
  seen.print("RGB to planes");
  EXPECT_EQ(seen.frames_that_differ, 0);
}

ResampleKernels resampler_of(const std::shared_ptr<const KernelModule>& module, const ResampleSetup& setup) {
  auto kernels = ResampleKernels::create(module, setup);
  KILN_CHECK(kernels.has_value(), "{}", kernels.error().message);
  return *std::move(kernels);
}

TEST_F(FrameKernelsCudaTest, RgbInPlanesGivesTheSame) {
  for (const char* name : {"yuv420p", "yuv444p10le", "gbrp"}) {
    FrameKernelsSetup setup;
    setup.format = a_format(name);
    setup.color = a_color(ColorRange::kLimited, ColorMatrix::kBt709);
    setup.width = 201;
    setup.height = 121;
    setup.rgb_type = RgbType::kFloat16;
    auto noise = noisy_rgb(setup.width, setup.height);
    const at::Tensor pixels = float_tensor(noise).to(c10::ScalarType::Half);
    const at::Tensor planes = pixels.reshape({121, 201, 3}).permute({2, 0, 1}).contiguous().to(kDevice);
    const FrameKernels kernels = kernels_of(setup);
    const at::Tensor out = on_card(static_cast<std::int64_t>(kernels.frame_bytes()), c10::ScalarType::Byte);
    const auto status = kernels.from_rgb(planes.const_data_ptr(), RgbStrides{201, 1, 201 * 121}, out.mutable_data_ptr(),
                                         stream().native_handle());
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(bytes_on_host(out), planes_of(converter_of(setup), floats_on_host(pixels))) << name;
  }
}

TEST_F(FrameKernelsCudaTest, ResamplingHasTheReferencesBits) {
  Differences seen;
  for (ResampleSetup setup : {ResampleSetup{200, 120, 100, 60}, {201, 121, 67, 121}, {67, 35, 1, 1}, {64, 48, 80, 90}, {90, 700, 45, 301}}) {
    auto noise = noisy_rgb(setup.input_width, setup.input_height);
    const auto resampler =
        LanczosResampler::create(setup.input_width, setup.input_height, setup.output_width, setup.output_height).value();
    for (const RgbType type : kTypes) {
      setup.rgb_type = type;
      const at::Tensor rgb = float_tensor(noise).to(scalar_of(type));
      const std::vector<float> input = floats_on_host(rgb);
      std::vector<float> reference(3 * static_cast<std::size_t>(setup.output_width * setup.output_height));
      resampler.resample({input.data(), 3 * static_cast<std::size_t>(setup.input_width)},
                         RgbView{reference.data(), 3 * static_cast<std::size_t>(setup.output_width)});
      const ResampleKernels kernels = resampler_of(module, setup);
      const at::Tensor on_device = rgb.to(kDevice);
      const at::Tensor out = on_card(static_cast<std::int64_t>(reference.size()), scalar_of(type));
      const at::Tensor scratch = on_card(static_cast<std::int64_t>(kernels.scratch_bytes()), c10::ScalarType::Byte);
      const auto status = kernels.resample(on_device.const_data_ptr(), out.mutable_data_ptr(), scratch.mutable_data_ptr(),
                                           stream().native_handle());
      ASSERT_TRUE(status) << status.error().message;
      const auto expected = floats_on_host(float_tensor(reference).to(scalar_of(type)));
      const auto got = floats_on_host(out);
      seen.add(largest_of(got, expected), got == expected);
    }
  }
  seen.print("resampling");
  EXPECT_LE(seen.largest, 1e-5);
  EXPECT_EQ(seen.frames_that_differ, 0);
}

TEST_F(FrameKernelsCudaTest, PointersThatAreNotAlignedAreRefused) {
  FrameKernelsSetup setup = frame_cases({{64, 48}}).front().setup;
  setup.rgb_type = RgbType::kFloat16;
  const at::Tensor memory = on_card(1 << 20, c10::ScalarType::Byte);
  auto* first = static_cast<std::byte*>(memory.mutable_data_ptr());
  const auto status = kernels_of(setup).to_rgb(first, first + 4097, stream().native_handle());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(FrameKernelsCudaTest, AThreadWithoutContextLaunches) {
  const FrameKernelsSetup setup = frame_cases({{64, 48}}).front().setup;
  const FrameKernels kernels = kernels_of(setup);
  const at::Tensor planes = on_card(static_cast<std::int64_t>(kernels.frame_bytes()), c10::ScalarType::Byte);
  const at::Tensor rgb = on_card(static_cast<std::int64_t>(kernels.rgb_bytes()), c10::ScalarType::Byte);
  void* const handle = stream().native_handle();
  Status status;
  std::thread([&] { status = kernels.to_rgb(planes.const_data_ptr(), rgb.mutable_data_ptr(), handle); }).join();
  EXPECT_TRUE(status) << status.error().message;
  stream().synchronize();
}

// ---- times ----

// Milliseconds of one call of `work(i)`: the median of some rounds of many calls, by events around each round.
template <typename Work>
double median_ms(const c10::Stream& stream, const Work& work) {
  constexpr int kRounds = 7;
  constexpr int kCalls = 100;
  std::vector<double> taken;
  for (int round = -1; round < kRounds; ++round) {  // the first one warms up
    c10::Event begin(c10::DeviceType::CUDA, c10::EventFlag::BACKEND_DEFAULT);
    c10::Event end(c10::DeviceType::CUDA, c10::EventFlag::BACKEND_DEFAULT);
    begin.record(stream);
    for (int i = 0; i < kCalls; ++i) work(i);
    end.record(stream);
    end.synchronize();
    if (round >= 0) taken.push_back(begin.elapsedTime(end) / kCalls);
  }
  std::sort(taken.begin(), taken.end());
  return taken[taken.size() / 2];
}

struct TimedCase {
  const char* format;
  int width;
  int height;
  RgbType type;
};
constexpr TimedCase kTimed[] = {{"yuv420p", 1280, 720, RgbType::kFloat16},     {"yuv420p", 5120, 2880, RgbType::kFloat16},
                                {"yuv420p", 5120, 2880, RgbType::kFloat32},    {"yuv420p10le", 5120, 2880, RgbType::kFloat16},
                                {"yuv444p10le", 3840, 2160, RgbType::kFloat16}, {"rgb24", 3840, 2160, RgbType::kFloat16}};

// Frames in turn, so that together they do not fit the card's cache (50 MiB on an H100).
TEST_F(FrameKernelsCudaTest, Times) {
  constexpr std::size_t kBytesInTurn = std::size_t{400} << 20;
  constexpr double kBytesPerMs = 3.35e9;  // an H100's memory
  for (const TimedCase& one : kTimed) {
    FrameKernelsSetup setup;
    setup.format = a_format(one.format);
    setup.width = one.width;
    setup.height = one.height;
    setup.color = resolve_for_conversion({}, setup.format, one.width, one.height);
    setup.rgb_type = one.type;
    const FrameKernels kernels = kernels_of(setup);
    const std::size_t bytes = kernels.frame_bytes() + kernels.rgb_bytes();
    const auto count = static_cast<int>(kBytesInTurn / bytes) + 1;
    const at::Tensor memory = on_card(static_cast<std::int64_t>(bytes) * count, c10::ScalarType::Byte).zero_();
    auto* const first = static_cast<std::byte*>(memory.mutable_data_ptr());
    const auto rgb = [&](int i) { return first + static_cast<std::size_t>(i % count) * kernels.rgb_bytes(); };
    const auto planes = [&](int i) {
      return first + static_cast<std::size_t>(count) * kernels.rgb_bytes() +
             static_cast<std::size_t>(i % count) * kernels.frame_bytes();
    };
    const c10::Stream on = stream();
    void* const handle = on.native_handle();
    const double to_ms = median_ms(on, [&](int i) { KILN_CHECK(kernels.to_rgb(planes(i), rgb(i), handle), "launch"); });
    const double from_ms = median_ms(on, [&](int i) { KILN_CHECK(kernels.from_rgb(rgb(i), planes(i), handle), "launch"); });
    const RgbStrides in_planes{one.width, 1, static_cast<long long>(one.width) * one.height};
    const double from_planes_ms =
        median_ms(on, [&](int i) { KILN_CHECK(kernels.from_rgb(rgb(i), in_planes, planes(i), handle), "launch"); });
    fmt::print(stderr,
               "{{\"what\": \"times\", \"format\": \"{}\", \"width\": {}, \"height\": {}, \"rgb_value_bytes\": {}, \"to_rgb_us\": "
               "{:.1f}, \"from_rgb_us\": {:.1f}, \"from_rgb_in_planes_us\": {:.1f}, \"floor_us\": {:.1f}}}\n",
               one.format, one.width, one.height, bytes_of(one.type), to_ms * 1000, from_ms * 1000, from_planes_ms * 1000,
               static_cast<double>(bytes) / kBytesPerMs * 1000);
    EXPECT_LT(from_ms, 5.0) << "a kernel that takes as long as the model is broken";
  }
}

TEST_F(FrameKernelsCudaTest, ResamplingTimes) {
  const ResampleSetup setup{5120, 2880, 2560, 1440, RgbType::kFloat16};
  const ResampleKernels kernels = resampler_of(module, setup);
  const at::Tensor input = on_card(std::int64_t{5120} * 2880 * 6, c10::ScalarType::Byte).zero_();
  const at::Tensor output = on_card(std::int64_t{2560} * 1440 * 6, c10::ScalarType::Byte);
  const at::Tensor scratch = on_card(static_cast<std::int64_t>(kernels.scratch_bytes()), c10::ScalarType::Byte);
  const c10::Stream on = stream();
  void* const handle = on.native_handle();
  const double ms = median_ms(on, [&](int) {
    const auto status =
        kernels.resample(input.const_data_ptr(), output.mutable_data_ptr(), scratch.mutable_data_ptr(), handle);
    KILN_CHECK(status, "launch");
  });
  fmt::print(stderr, "{{\"what\": \"times\", \"resample\": \"5120x2880 to 2560x1440\", \"rgb_value_bytes\": 2, \"us\": {:.1f}}}\n",
             ms * 1000);
  EXPECT_LT(ms, 5.0);
}

}  // namespace
}  // namespace kiln::lane
