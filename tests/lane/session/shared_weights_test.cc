// Whole sessions that load one package together, with the test as their worker: the true network, whose weights go into plain
// memory by a library for tests (tests/lane/share).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "lane/lane_session.h"
#include "net/lane_codec.h"
#include "tests/lane/engine/fixture.h"
#include "tests/lane/media/media_lab.h"
#include "tests/lane/share/host_transfer.h"

namespace kiln::lane {
namespace {

constexpr int kFrames = 6;
constexpr std::chrono::seconds kSendDeadline{60};
constexpr ClipId kClip{7};

// A session in a thread of its own.
class Lane {
 public:
  explicit Lane(const LaneSession::Sharing& sharing) {
    auto [ours, lanes] = net::LocalChannel::make_pair().value();
    channel_ = std::move(ours);
    session_ = std::thread([sharing, end = std::move(lanes)]() mutable { (void)LaneSession(std::move(end), sharing).run(); });
    (void)next<net::Hello>();
    net::SetUp set_up;
    set_up.ffmpeg = system_tools().ffmpeg_path;
    set_up.trusted_keys = cache::TrustedKeys{}.to_text();
    send(set_up);
  }
  ~Lane() {
    send(net::Shutdown{});
    session_.join();
  }
  void send(const net::ToLane& message, const std::vector<int>& descriptors = {}) {
    const Status sent = channel_.send(net::encode(message), descriptors, kSendDeadline);
    ASSERT_TRUE(sent) << sent.error().message;
  }
  template <typename T>
  T next() {
    while (true) {
      auto received = channel_.receive();
      if (!received || !*received) return {};
      net::FromLane message = net::decode_from_lane((*received)->bytes).value();
      if (std::holds_alternative<net::Progress>(message)) continue;
      EXPECT_TRUE(std::holds_alternative<T>(message)) << message.index();
      return std::holds_alternative<T>(message) ? std::get<T>(std::move(message)) : T{};
    }
  }

 private:
  net::LocalChannel channel_;
  std::thread session_;
};

class SharedWeightsTest : public MediaLab {
 protected:
  void SetUp() override {
    sharing_.make_device = []() -> Result<std::unique_ptr<TransferDevice>> { return std::make_unique<HostTransfer>(); };
    sharing_.nccl = std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/libtest_nccl.so";
  }
  void load(Lane& lane, std::uint64_t share) const {
    net::LoadPackage load;
    load.manifest = read_file(fixture_.folder + "/package/manifest.toml", 1U << 20U).value();
    load.dtype = "float32";
    load.share = share;
    std::vector<UniqueFd> sealed;
    std::vector<int> descriptors;
    const auto add = [&](const Mapping& mapping) {
      sealed.push_back(make_sealed("part", mapping.bytes()).value());
      descriptors.push_back(sealed.back().get());
    };
    for (std::size_t i = 0; i < fixture_.graph_files.size(); ++i) {
      load.graphs.push_back(static_cast<std::uint32_t>(i));
      add(fixture_.graph_files[i]);
    }
    add(fixture_.weights);
    lane.send(load, descriptors);
  }
  std::string render(Lane& lane) {
    net::ProbeTask probe;
    probe.task = TaskId{1};
    probe.source = make_clip("a.mkv", kFrames, {"-c:v", "libx264", "-pix_fmt", "yuv420p"}, "32x24");
    probe.output = "out.mkv";
    probe.codec = "ffv1";
    probe.network_scale = fixture_.manifest.scale;
    lane.send(probe);
    const auto probed = lane.next<net::ProbeDone>();
    const UniqueFd sealed = make_sealed("clip", std::as_bytes(std::span(probed.clip))).value();
    lane.send(net::DefineClip{kClip}, {sealed.get()});
    net::SegmentTask segment;
    segment.task = TaskId{2};
    segment.clip = kClip;
    segment.last = kFrames;
    segment.path = path("segment");
    segment.tile_height = 24;
    segment.tile_width = 32;
    segment.output_width = probed.output_width;
    segment.output_height = probed.output_height;
    segment.codec = "ffv1";
    segment.output = "out.mkv";
    segment.executor = "uncompiled";
    lane.send(segment);
    return lane.next<net::SegmentDone>().frame_hashes;
  }

  Fixture fixture_ = load_fixture("compact");
  LaneSession::Sharing sharing_;
};

TEST_F(SharedWeightsTest, FramesOfALaneThatReceivedItsWeightsAreThoseOfOneThatReadThem) {
  Lane root(sharing_);
  Lane other(sharing_);
  root.send(net::OpenShare{1, 0, 2});
  other.send(net::OpenShare{1, 1, 2});
  other.send(net::ShareId{1, root.next<net::ShareOpened>().id});
  load(root, 1);
  load(other, 1);
  EXPECT_EQ(root.next<net::ShareEnded>().why, "");
  EXPECT_EQ(other.next<net::ShareEnded>().why, "");
  const auto read = root.next<net::PackageLoaded>();
  const auto received = other.next<net::PackageLoaded>();
  EXPECT_GT(read.weights_copied_bytes, 0U);
  EXPECT_EQ(read.weights_received_bytes, 0U);
  EXPECT_EQ(received.weights_copied_bytes, 0U);
  EXPECT_EQ(received.weights_received_bytes, read.weights_copied_bytes);
  root.send(net::ShareOver{1, ""});
  other.send(net::ShareOver{1, ""});

  Lane alone(sharing_);
  load(alone, 0);
  EXPECT_EQ(alone.next<net::PackageLoaded>().weights_received_bytes, 0U);
  const std::string frames = render(alone);
  EXPECT_EQ(frames.size(), std::size_t{16} * kFrames);
  EXPECT_EQ(render(root), frames);
  EXPECT_EQ(render(other), frames);
}

TEST_F(SharedWeightsTest, ALaneWhoseGroupIsOverBeforeItLoadsReadsTheHostsCopy) {
  Lane lane(sharing_);
  lane.send(net::OpenShare{1, 1, 2});
  lane.send(net::ShareOver{1, "lane 0: it is gone"});
  load(lane, 1);
  const auto loaded = lane.next<net::PackageLoaded>();
  EXPECT_EQ(loaded.weights_copied_bytes, loaded.weights_bytes);
}

TEST_F(SharedWeightsTest, ALaneOfTheCpuTakesNoPartAndLoadsAllTheSame) {
  Lane lane({});
  lane.send(net::OpenShare{1, 1, 2});
  const auto ended = lane.next<net::ShareEnded>();
  EXPECT_EQ(ended.epoch, 1U);
  EXPECT_EQ(ended.why, "a lane of the CPU shares no weights");
  load(lane, 1);
  const auto loaded = lane.next<net::PackageLoaded>();
  EXPECT_EQ(loaded.weights_copied_bytes, loaded.weights_bytes);
}

}  // namespace
}  // namespace kiln::lane
