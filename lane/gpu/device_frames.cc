#include "lane/gpu/device_frames.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <chrono>
#include <cstring>
#include <optional>

#include "lane/engine/torch_types.h"
#include "lane/gpu/cuda_stream.h"
#include "lane/gpu/device_tiles.h"
#include "lane/gpu/resample_kernels.h"
#include "lane/gpu/slot_ring.h"

namespace kiln::lane {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

RgbType rgb_type_of(sharding::GraphDtype dtype) {
  switch (dtype) {
    case sharding::GraphDtype::kFloat16: return RgbType::kFloat16;
    case sharding::GraphDtype::kBfloat16: return RgbType::kBfloat16;
    case sharding::GraphDtype::kFloat32: break;
  }
  return RgbType::kFloat32;
}

c10::ScalarType scalar_type_of(sharding::GraphDtype dtype) {
  switch (dtype) {
    case sharding::GraphDtype::kFloat16: return at::kHalf;
    case sharding::GraphDtype::kBfloat16: return at::kBFloat16;
    case sharding::GraphDtype::kFloat32: break;
  }
  return at::kFloat;
}

at::Tensor pinned_bytes(std::size_t bytes) {
  return at::empty({static_cast<std::int64_t>(bytes)}, at::TensorOptions().dtype(at::kByte).pinned_memory(true));
}

at::Tensor device_bytes(std::size_t bytes, const c10::Device& device) {
  return at::empty({static_cast<std::int64_t>(bytes)}, at::TensorOptions().dtype(at::kByte).device(device));
}

at::Tensor device_rgb(int height, int width, c10::ScalarType dtype, const c10::Device& device) {
  return at::empty({1, 3, height, width}, at::TensorOptions().dtype(dtype).device(device), at::MemoryFormat::ChannelsLast);
}

// Many networks end with a shuffle of channels into pixels, which gives planes.
RgbStrides strides_of(const at::Tensor& rgb) {
  constexpr int kChannel = 1;
  constexpr int kRow = 2;
  constexpr int kColumn = 3;
  return {static_cast<int>(rgb.stride(kRow)), static_cast<int>(rgb.stride(kColumn)), rgb.stride(kChannel)};
}

FrameKernelsSetup kernels_setup(const DeviceFramesSetup::Picture& picture, RgbType type) {
  FrameKernelsSetup out;
  out.format = picture.format;
  out.color = picture.color;
  out.width = picture.width;
  out.height = picture.height;
  out.rgb_type = type;
  return out;
}

}  // namespace

struct DeviceFrames::Source {
  at::Tensor pinned;
  at::Tensor planes;
  at::Tensor rgb;
  CudaEvent uploaded;   // the pinned bytes may be written again
  CudaEvent converted;  // the planes may be
  bool is_converted = false;  // the model's thread
};

struct DeviceFrames::Output {
  at::Tensor planes;
  at::Tensor pinned;
  CudaEvent begun;  // these two by the model's stream
  CudaEvent made;
  CudaEvent downloaded;
};

struct DeviceFrames::State {
  std::shared_ptr<const CudaQueueing> queueing;
  c10::Stream model;  // LibTorch's, since its allocator and operators go by its current stream
  CUstream_st* model_stream = nullptr;
  CudaStream in;
  CudaStream out;
  FrameKernels from_planes;
  FrameKernels to_planes;
  std::optional<ResampleKernels> resample;
  at::Tensor resampled;
  at::Tensor resample_scratch;
  DeviceTiles tiles;
  std::shared_ptr<SlotRing<Source>> sources;
  std::shared_ptr<SlotRing<Output>> outputs;

  ~State();
  Status convert(Source& source) const;
  Status fit(at::Tensor& made) const;
};

namespace {

Result<std::unique_ptr<DeviceFrames::Source>> make_source(const std::shared_ptr<const CudaQueueing>& queueing,
                                                          const FrameKernels& kernels,
                                                          const DeviceFramesSetup::Picture& picture, c10::ScalarType dtype,
                                                          const c10::Device& device) {
  KILN_TRY_ASSIGN(CudaEvent uploaded, CudaEvent::create(queueing));
  KILN_TRY_ASSIGN(CudaEvent converted, CudaEvent::create(queueing));
  return std::unique_ptr<DeviceFrames::Source>(new DeviceFrames::Source{
      pinned_bytes(kernels.frame_bytes()), device_bytes(kernels.frame_bytes(), device),
      device_rgb(picture.height, picture.width, dtype, device), std::move(uploaded), std::move(converted)});
}

Result<std::unique_ptr<DeviceFrames::Output>> make_output(const std::shared_ptr<const CudaQueueing>& queueing,
                                                          const FrameKernels& kernels, const c10::Device& device) {
  KILN_TRY_ASSIGN(CudaEvent begun, CudaEvent::create(queueing));
  KILN_TRY_ASSIGN(CudaEvent made, CudaEvent::create(queueing));
  KILN_TRY_ASSIGN(CudaEvent downloaded, CudaEvent::create(queueing));
  return std::unique_ptr<DeviceFrames::Output>(
      new DeviceFrames::Output{device_bytes(kernels.frame_bytes(), device), pinned_bytes(kernels.frame_bytes()),
                               std::move(begun), std::move(made), std::move(downloaded)});
}

}  // namespace

// ---- made once ----

Result<std::shared_ptr<DeviceFrames>> DeviceFrames::create(Network& network, std::shared_ptr<const KernelModule> kernels,
                                                           const DeviceFramesSetup& setup) {
  try {
    const c10::InferenceMode inference;
    const c10::Device device(network.device());
    const c10::ScalarType dtype = scalar_type_of(network.dtype());
    const RgbType type = rgb_type_of(network.dtype());
    KILN_TRY_ASSIGN(const auto queueing, CudaQueueing::open(device.index()));
    KILN_TRY_ASSIGN(FrameKernels from_planes, FrameKernels::create(kernels, kernels_setup(setup.source, type)));
    KILN_TRY_ASSIGN(FrameKernels to_planes, FrameKernels::create(kernels, kernels_setup(setup.output, type)));
    KILN_TRY_ASSIGN(CudaStream in, CudaStream::create(queueing));
    KILN_TRY_ASSIGN(CudaStream out, CudaStream::create(queueing));
    std::vector<std::unique_ptr<Source>> sources(setup.sources);
    for (auto& slot : sources) {
      KILN_TRY_ASSIGN(slot, make_source(queueing, from_planes, setup.source, dtype, device));
    }
    std::vector<std::unique_ptr<Output>> outputs(setup.outputs);
    for (auto& slot : outputs) {
      KILN_TRY_ASSIGN(slot, make_output(queueing, to_planes, device));
    }
    const c10::impl::VirtualGuardImpl guard(device.type());
    const c10::Stream model = guard.getStreamFromGlobalPool(device);
    auto* model_stream = static_cast<CUstream_st*>(guard.getStreamNativeHandle(model));
    auto state = std::shared_ptr<State>(new State{
        queueing, model, model_stream, std::move(in), std::move(out), std::move(from_planes), std::move(to_planes), {}, {}, {},
        DeviceTiles(network, setup.tile, setup.windows, setup.model_scale),
        std::make_shared<SlotRing<Source>>(std::move(sources)), std::make_shared<SlotRing<Output>>(std::move(outputs))});
    const int made_width = setup.source.width * setup.model_scale;
    const int made_height = setup.source.height * setup.model_scale;
    if (made_width != setup.output.width || made_height != setup.output.height) {
      KILN_TRY_ASSIGN(state->resample, ResampleKernels::create(kernels, {made_width, made_height, setup.output.width,
                                                                         setup.output.height, type}));
      state->resampled = device_rgb(setup.output.height, setup.output.width, dtype, device);
      state->resample_scratch = device_bytes(state->resample->scratch_bytes(), device);
    }
    return std::shared_ptr<DeviceFrames>(new DeviceFrames(std::move(state)));
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("making buffers on the card"));
  }
}

DeviceFrames::DeviceFrames(std::shared_ptr<State> state) : state_(std::move(state)) {}
DeviceFrames::~DeviceFrames() = default;

// ---- the decoding thread ----

Result<DeviceFrames::SourcePtr> DeviceFrames::upload(std::span<const std::byte> planes) {
  KILN_TRY(state_->queueing->enter());
  if (planes.size() != state_->from_planes.frame_bytes()) {
    return fail(make_error(ErrorCode::kDataLoss, "a frame of {} bytes where {} are due", planes.size(),
                           state_->from_planes.frame_bytes()));
  }
  SourcePtr source = state_->sources->take();
  KILN_TRY(source->uploaded.wait());
  std::memcpy(source->pinned.data_ptr(), planes.data(), planes.size());
  KILN_TRY(source->converted.hold(state_->in.get()));
  KILN_TRY(state_->in.copy_to_device(source->planes.data_ptr(), source->pinned.data_ptr(), planes.size()));
  KILN_TRY(source->uploaded.record(state_->in.get()));
  source->is_converted = false;
  return source;
}

// ---- the model's thread ----

// Buffers go back to LibTorch, which does not know of copies by the driver: they must be over.
DeviceFrames::State::~State() {
  if (queueing == nullptr || !queueing->enter()) return;
  const auto end = CudaEvent::create(queueing);
  if (!end) return;
  for (CUstream_st* stream : {in.get(), model_stream, out.get()}) {
    if (!end->record(stream) || !end->wait()) return;  // the card is lost; so is what was in its memory
  }
}

Status DeviceFrames::State::convert(Source& source) const {
  if (source.is_converted) return {};
  KILN_TRY(from_planes.to_rgb(source.planes.data_ptr(), source.rgb.data_ptr(), model_stream));
  KILN_TRY(source.converted.record(model_stream));
  source.is_converted = true;
  return {};
}

Status DeviceFrames::State::fit(at::Tensor& made) const {
  if (!resample) return {};
  KILN_TRY(resample->resample(made.data_ptr(), strides_of(made), resampled.data_ptr(), resample_scratch.data_ptr(), model_stream));
  made = resampled;
  return {};
}

Result<DeviceFrames::Rendered> DeviceFrames::render(Executor executor, std::span<const SourcePtr> sources) {
  KILN_TRY(state_->queueing->enter());
  const auto begin = Clock::now();
  const OutputPtr output = state_->outputs->take();
  const double blocked_s = seconds_since(begin);
  try {
    const c10::InferenceMode inference;
    const c10::StreamGuard guard(state_->model);
    for (const SourcePtr& source : sources) KILN_TRY(source->uploaded.hold(state_->model_stream));
    KILN_TRY(output->begun.record(state_->model_stream));
    std::vector<at::Tensor> frames;
    for (const SourcePtr& source : sources) {
      KILN_TRY(state_->convert(*source));
      frames.push_back(source->rgb);
    }
    at::Tensor made;
    KILN_TRY(state_->tiles.run(executor, frames, made));
    KILN_TRY(state_->fit(made));
    KILN_TRY(state_->to_planes.from_rgb(made.data_ptr(), strides_of(made), output->planes.data_ptr(), state_->model_stream));
    KILN_TRY(output->made.record(state_->model_stream));
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("rendering a frame"));
  }
  KILN_TRY(output->made.hold(state_->out.get()));
  KILN_TRY(state_->out.copy_to_host(output->pinned.data_ptr(), output->planes.data_ptr(), state_->to_planes.frame_bytes()));
  KILN_TRY(output->downloaded.record(state_->out.get()));
  return Rendered{output, blocked_s};
}

// ---- the encoding thread ----

Result<DeviceFrames::Downloaded> DeviceFrames::download(const OutputPtr& output) {
  KILN_TRY(state_->queueing->enter());
  KILN_TRY(output->downloaded.wait());
  Downloaded out;
  KILN_TRY_ASSIGN(out.model_s, output->made.seconds_since(output->begun));
  out.planes = {static_cast<const std::byte*>(output->pinned.data_ptr()), state_->to_planes.frame_bytes()};
  return out;
}

}  // namespace kiln::lane
