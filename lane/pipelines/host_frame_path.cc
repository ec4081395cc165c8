#include "lane/pipelines/host_frame_path.h"

#include "lane/pipelines/frame_convert.h"
#include "lane/pipelines/output_resampler.h"
#include "lane/pipelines/stopwatch.h"
#include "lane/pipelines/tile_runner.h"

namespace kiln::lane {
namespace {

struct HostSource final : FramePath::Source {
  RgbFrame frame;
};

struct HostOutput final : FramePath::Output {
  std::unique_ptr<RgbFrame> frame;
};

class HostFramePath final : public FramePath {
 public:
  HostFramePath(Network& network, const SegmentSpec& spec, FrameInput input, FrameOutput output)
      : input_(std::move(input)),
        output_(std::move(output)),
        tiles_(network, spec.tile, spec.windows, spec.model_scale),
        width_(spec.settings.request.width),
        height_(spec.settings.request.height) {}

  Result<SourcePtr> take_in(std::span<const std::byte> planes) override {
    auto source = std::make_shared<HostSource>();
    KILN_TRY(input_.convert(planes, source->frame));
    return SourcePtr(std::move(source));
  }

  Result<OutputPtr> render(StageTimes& times, Executor executor, std::span<const SourcePtr> sources) override {
    const Stopwatch watch(times.model_s);
    std::vector<const RgbFrame*> frames;
    for (const SourcePtr& source : sources) frames.push_back(&static_cast<HostSource&>(*source).frame);
    auto output = std::make_unique<HostOutput>();
    output->frame = std::make_unique<RgbFrame>();
    KILN_TRY(tiles_.run(executor, frames, *output->frame));
    KILN_TRY(resampler_.fit(width_, height_, output->frame));
    return OutputPtr(std::move(output));
  }

  Result<std::span<const std::byte>> planes_of(StageTimes& times, Output& output) override {
    const Stopwatch watch(times.encode_s);
    KILN_TRY(output_.convert(*static_cast<HostOutput&>(output).frame, planes_));
    return std::span<const std::byte>(planes_);
  }

 private:
  FrameInput input_;
  FrameOutput output_;
  TileRunner tiles_;           // the model's thread
  OutputResampler resampler_;  // the model's thread
  std::vector<std::byte> planes_;  // the encoding thread
  int width_;
  int height_;
};

}  // namespace

Result<std::unique_ptr<FramePath>> make_host_frame_path(Network& network, const SegmentSpec& spec) {
  KILN_TRY_ASSIGN(FrameInput input, FrameInput::create(*spec.clip));
  KILN_TRY_ASSIGN(FrameOutput output, FrameOutput::create(spec.settings.request));
  return std::unique_ptr<FramePath>(new HostFramePath(network, spec, std::move(input), std::move(output)));
}

}  // namespace kiln::lane
