#include "lane/pipelines/device_frame_path.h"

#include "lane/gpu/device_frames.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {
namespace {

struct DeviceSource final : FramePath::Source {
  DeviceFrames::SourcePtr frame;
};

struct DeviceOutput final : FramePath::Output {
  DeviceFrames::OutputPtr frame;
};

class DeviceFramePath final : public FramePath {
 public:
  DeviceFramePath(std::shared_ptr<DeviceFrames> frames, bool outputs_can_wait)
      : frames_(std::move(frames)), outputs_can_wait_(outputs_can_wait) {}

  Result<SourcePtr> take_in(std::span<const std::byte> planes) override {
    auto source = std::make_shared<DeviceSource>();
    KILN_TRY_ASSIGN(source->frame, frames_->upload(planes));
    return SourcePtr(std::move(source));
  }

  Result<OutputPtr> render(StageTimes& times, Executor executor, std::span<const SourcePtr> sources) override {
    std::vector<DeviceFrames::SourcePtr> frames;
    for (const SourcePtr& source : sources) frames.push_back(static_cast<DeviceSource&>(*source).frame);
    KILN_TRY_ASSIGN(DeviceFrames::Rendered rendered, frames_->render(executor, frames));
    times.wait_encode_s += rendered.blocked_s;
    auto output = std::make_unique<DeviceOutput>();
    output->frame = std::move(rendered.output);
    return OutputPtr(std::move(output));
  }

  Result<std::span<const std::byte>> planes_of(StageTimes& times, Output& output) override {
    KILN_TRY_ASSIGN(const auto downloaded, frames_->download(static_cast<DeviceOutput&>(output).frame));
    times.card_s += downloaded.model_s;
    return downloaded.planes;
  }

  bool outputs_can_wait() const override { return outputs_can_wait_; }

 private:
  std::shared_ptr<DeviceFrames> frames_;
  const bool outputs_can_wait_;
};

sharding::CardClip card_clip(const SegmentSpec& spec, std::uint64_t value_bytes) {
  const ClipInfo& clip = *spec.clip;
  const OutputRequest& request = spec.settings.request;
  return {{clip.height, clip.width, spec.model_scale, request.height, request.width, static_cast<int>(value_bytes)},
          clip.format.frame_bytes(clip.width, clip.height), request.format.frame_bytes(request.width, request.height),
          static_cast<int>(spec.tile.frames)};
}

DeviceFramesSetup setup_of(const SegmentSpec& spec, const sharding::RingSlots& slots) {
  const ClipInfo& clip = *spec.clip;
  const OutputRequest& request = spec.settings.request;
  DeviceFramesSetup out;
  out.source = {clip.format, resolve_for_conversion(clip.color, clip.format, clip.width, clip.height), clip.width,
                clip.height};
  out.output = {request.format, resolve_for_conversion(request.color, request.format, request.width, request.height),
                request.width, request.height};
  out.tile = spec.tile;
  out.windows = spec.windows;
  out.model_scale = spec.model_scale;
  out.sources = slots.sources;
  out.outputs = slots.outputs;
  return out;
}

}  // namespace

struct DevicePaths::Made {
  DeviceFramesSetup setup;
  std::shared_ptr<DeviceFrames> frames;
};

DevicePaths::DevicePaths(Network& network, std::shared_ptr<const KernelModule> kernels, sharding::RingSizes rings)
    : network_(network), kernels_(std::move(kernels)), rings_(rings) {}
DevicePaths::~DevicePaths() = default;

std::uint64_t DevicePaths::value_bytes() const { return network_.dtype() == sharding::GraphDtype::kFloat32 ? 4 : 2; }

std::size_t DevicePaths::channels_for(const SegmentSpec& spec) const {
  return sharding::card_ring_slots(card_clip(spec, value_bytes()), rings_).channels;
}

sharding::CardHoldings DevicePaths::holdings_for(const SegmentSpec& spec) const {
  const sharding::CardClip clip = card_clip(spec, value_bytes());
  sharding::CardHoldings out = sharding::card_holdings(clip, sharding::card_ring_slots(clip, rings_));
  const bool whole = spec.windows.size() == 1 && spec.tile.height == clip.frame.height && spec.tile.width == clip.frame.width;
  if (!whole) sharding::add_tiles(clip, static_cast<int>(spec.tile.height), static_cast<int>(spec.tile.width), out);
  return out;
}

Result<std::unique_ptr<FramePath>> DevicePaths::make(const SegmentSpec& spec) {
  const sharding::RingSlots slots = sharding::card_ring_slots(card_clip(spec, value_bytes()), rings_);
  DeviceFramesSetup setup = setup_of(spec, slots);
  const std::lock_guard lock(mutex_);
  if (latest_ == nullptr || latest_->setup != setup) {
    latest_.reset();  // its memory goes when its last run does
    KILN_TRY_ASSIGN(auto frames, DeviceFrames::create(network_, kernels_, setup));
    latest_ = std::make_unique<Made>(Made{std::move(setup), std::move(frames)});
  }
  return std::unique_ptr<FramePath>(new DeviceFramePath(latest_->frames, slots.outputs_can_wait()));
}

}  // namespace kiln::lane
