// A pipeline with several decoders and encoders: real ffmpeg, a real network.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "lane/pipelines/ending_encoders.h"
#include "lane/pipelines/upscale_pipeline.h"
#include "sharding/package/package_tiling.h"
#include "tests/lane/engine/fixture.h"
#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

constexpr int kFrames = 100;

struct ChannelCase {
  const char* name;
  const char* network;
  Codec codec;
};

void PrintTo(const ChannelCase& one, std::ostream* out) { *out << one.name; }

class ChannelsTest : public MediaLab, public testing::WithParamInterface<ChannelCase> {
 protected:
  void SetUp() override {
    fixture_ = load_fixture(GetParam().network);
    auto network = Network::load(fixture_.source());
    ASSERT_TRUE(network) << network.error().message;
    network_ = std::move(*network);
    clip_ = std::make_shared<const ClipInfo>(probe_ok(
        system_tools(), {make_clip("a.mkv", kFrames, {"-c:v", "libx264", "-bf", "3", "-g", "30", "-pix_fmt", "yuv420p"}, "32x24")}));
    const auto scale = static_cast<int>(fixture_.manifest.scale);
    OutputRequest request;
    request.codec = GetParam().codec;
    request.container = Container::kMatroska;
    request.width = clip_->width * scale;
    request.height = clip_->height * scale;
    request.format = clip_->format;
    request.color = clip_->color;
    auto settings = plan_encoder(system_tools(), *clip_, request);
    ASSERT_TRUE(settings) << settings.error().message;
    settings_ = *settings;
  }

  SegmentSpec spec(std::uint64_t task, std::int64_t first, std::int64_t last) {
    SegmentSpec out;
    out.task.value = task;
    out.clip = clip_;
    out.range = {first, last, fixture_.manifest.frames_before, fixture_.manifest.frames_after, kFrames};
    out.path = path("segment-" + std::to_string(task));
    out.tile = {fixture_.manifest.frames(), clip_->height, clip_->width};
    out.windows = sharding::tile_windows(clip_->height, clip_->width, {clip_->height, clip_->width},
                                         sharding::tiling_rules(fixture_.manifest));
    out.model_scale = static_cast<int>(fixture_.manifest.scale);
    out.settings = settings_;
    out.executor = ExecutorChoice::kUncompiled;
    return out;
  }

  // Two segments of the clip, one behind the other; the hashes of all of its frames.
  std::string render(std::size_t channels, std::size_t encoders_ending = 0, const MediaTools& tools = system_tools()) {
    std::promise<void> over;
    std::vector<std::string> hashes(2);
    int ended = 0;
    UpscaleCallbacks callbacks;
    callbacks.on_progress = [](const SegmentRun&) {};
    std::mutex mutex;
    callbacks.on_end = [&](const SegmentRun& run) {
      const std::lock_guard lock(mutex);
      EXPECT_FALSE(run.failed()) << run.error().message;
      EXPECT_GT(run.bytes_written, 0U);
      hashes[run.spec.task.value] = run.frame_hashes();
      if (++ended == 2) over.set_value();
    };
    UpscalePipeline pipeline(*network_, tools, std::move(callbacks), {nullptr, channels, 0, encoders_ending});
    pipeline.submit(spec(0, 0, 40));
    pipeline.submit(spec(1, 40, kFrames));
    over.get_future().wait();
    return hashes[0] + hashes[1];
  }

  std::vector<RawFrame> joined() {
    const auto report = join_segments(system_tools(), *clip_, settings_, {{path("segment-0"), 0, 40}, {path("segment-1"), 40, kFrames - 40}},
                                      path("out.mkv"));
    EXPECT_TRUE(report) << report.error().message;
    const ClipInfo output = probe_ok(system_tools(), {path("out.mkv")});
    expect_same_times(*clip_, output);
    return read_all(system_tools(), output);
  }

  Fixture fixture_;
  std::unique_ptr<Network> network_;
  std::shared_ptr<const ClipInfo> clip_;
  EncoderSettings settings_;
};

TEST_P(ChannelsTest, GiveTheFramesOfOneInTheirOrderAndTimes) {
  const std::string alone = render(1);
  ASSERT_EQ(alone.size(), std::size_t{16} * kFrames);
  const auto frames = joined();
  EXPECT_EQ(render(3, kEncodersEndingMax), alone);
  const auto pieced = joined();
  ASSERT_EQ(pieced.size(), frames.size());
  if (GetParam().codec == Codec::kFfv1) expect_same_frames(frames, pieced);
  for (const char* left : {"segment-0.piece-0", "segment-1.piece-1"}) {
    EXPECT_NE(::access(path(left).c_str(), F_OK), 0) << left << " was left behind";
  }
}

// An ffmpeg whose encoder of the first segment, given all frames, does not end before that of the second has begun.
MediaTools waiting_for_the_next(const std::string& folder) {
  MediaTools tools = system_tools();
  const std::string gate = folder + "/gate";
  EXPECT_EQ(::mkfifo(gate.c_str(), 0600), 0);
  const std::string real = tools.ffmpeg_path;
  tools.ffmpeg_path = folder + "/ffmpeg-that-waits";
  std::ofstream(tools.ffmpeg_path) << "#!/bin/bash\nexec 3<>" << gate << "\ncase \"${@: -1}\" in\n"
                                   << "*segment-1) echo began >&3;;\n"
                                   << "*segment-0) " << real << " \"$@\" && read -r -t 60 word <&3; exit;;\n"
                                   << "esac\nexec " << real << " \"$@\"\n";
  std::filesystem::permissions(tools.ffmpeg_path, std::filesystem::perms::owner_all);
  return tools;
}

TEST_P(ChannelsTest, FeedTheNextEncoderWhileOneEnds) {
  const std::string alone = render(1);
  EXPECT_EQ(render(1, kEncodersEndingMax, waiting_for_the_next(folder_)), alone);
}

INSTANTIATE_TEST_SUITE_P(Cases, ChannelsTest,
                         testing::Values(ChannelCase{"lossless", "compact", Codec::kFfv1},
                                         ChannelCase{"reordered", "compact", Codec::kH264},
                                         ChannelCase{"three_frames", "three_frames", Codec::kFfv1}),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace kiln::lane
