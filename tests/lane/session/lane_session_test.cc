// A lane's session in this process, with the test as its worker: real ffmpeg, a real network.
#include "lane/lane_session.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <set>

#include "net/lane_codec.h"
#include "sharding/package/package_tiling.h"
#include "tests/lane/engine/fixture.h"
#include "tests/lane/media/media_lab.h"

namespace kiln::lane {
namespace {

constexpr int kFrames = 60;
constexpr int kSegmentFrames = 30;
constexpr std::chrono::seconds kSendDeadline{60};
constexpr ClipId kClip{7};

class LaneSessionTest : public MediaLab {
 protected:
  void SetUp() override {
    fixture_ = load_fixture("compact");
    auto [ours, lanes] = net::LocalChannel::make_pair().value();
    channel_ = std::move(ours);
    session_ = std::thread([this, end = std::move(lanes)]() mutable { value_ = LaneSession(std::move(end)).run(); });
    EXPECT_TRUE(std::holds_alternative<net::Hello>(receive()));
    net::SetUp set_up;
    set_up.ffmpeg = system_tools().ffmpeg_path;
    set_up.trusted_keys = cache::TrustedKeys{}.to_text();
    set_up.encoders = 2;
    send(set_up);
  }
  // A session whose worker closes the socket ends its process: it is told to end instead.
  void TearDown() override {
    send(net::Shutdown{});
    session_.join();
    EXPECT_EQ(value_, 0);
  }

  void send(const net::ToLane& message, const std::vector<int>& descriptors = {}) {
    const Status sent = channel_.send(net::encode(message), descriptors, kSendDeadline);
    ASSERT_TRUE(sent) << sent.error().message;
  }
  net::FromLane receive() {
    auto received = channel_.receive();
    EXPECT_TRUE(received && *received);
    return net::decode_from_lane((*received)->bytes).value();
  }
  // What comes next, progress apart.
  template <typename T>
  T next() {
    while (true) {
      net::FromLane message = receive();
      if (std::holds_alternative<net::Progress>(message)) continue;
      if (const auto* failed = std::get_if<net::LaneTaskFailed>(&message); failed != nullptr) said_ = failed->fault.error.message;
      if (const auto* failed = std::get_if<net::Failed>(&message); failed != nullptr) said_ = failed->fault.error.message;
      EXPECT_TRUE(std::holds_alternative<T>(message)) << message.index() << ' ' << said_;
      return std::holds_alternative<T>(message) ? std::get<T>(std::move(message)) : T{};
    }
  }

  void load(std::string manifest) {
    net::LoadPackage load;
    load.manifest = std::move(manifest);
    load.dtype = "float32";
    std::vector<UniqueFd> sealed;
    const auto add = [&](const Mapping& mapping) { sealed.push_back(make_sealed("part", mapping.bytes()).value()); };
    for (std::size_t i = 0; i < fixture_.graph_files.size(); ++i) {
      load.graphs.push_back(static_cast<std::uint32_t>(i));
      add(fixture_.graph_files[i]);
    }
    add(fixture_.weights);
    std::vector<int> descriptors;
    for (const UniqueFd& fd : sealed) descriptors.push_back(fd.get());
    send(load, descriptors);
  }
  void load() { load(read_file(fixture_.folder + "/package/manifest.toml", 1U << 20U).value()); }

  net::ProbeTask probe_task(std::uint64_t task, const std::string& source) const {
    net::ProbeTask probe;
    probe.task = TaskId{task};
    probe.source = source;
    probe.output = "out.mkv";
    probe.codec = "ffv1";
    probe.network_scale = fixture_.manifest.scale;
    return probe;
  }
  // Probes a clip and defines it.
  void define_clip() {
    send(probe_task(1, make_clip("a.mkv", kFrames, {"-c:v", "libx264", "-g", "30", "-pix_fmt", "yuv420p"}, "32x24")));
    const auto probed = next<net::ProbeDone>();
    EXPECT_EQ(probed.frames, kFrames);
    const UniqueFd sealed = make_sealed("clip", std::as_bytes(std::span(probed.clip))).value();
    send(net::DefineClip{kClip}, {sealed.get()});
    width_ = probed.output_width;
    height_ = probed.output_height;
  }

  net::SegmentTask segment_task(std::uint64_t task, std::int64_t first) const {
    net::SegmentTask segment;
    segment.task = TaskId{task};
    segment.attempt = Attempt{1};
    segment.clip = kClip;
    segment.first = first;
    segment.last = first + kSegmentFrames;
    segment.path = path("segment-" + std::to_string(task));
    segment.tile_height = 24;
    segment.tile_width = 32;
    segment.output_width = width_;
    segment.output_height = height_;
    segment.codec = "ffv1";
    segment.output = "out.mkv";
    segment.executor = "uncompiled";
    return segment;
  }
  net::JoinTask join_task(std::uint64_t task, const std::vector<std::uint64_t>& segments) const {
    net::JoinTask join;
    join.task = TaskId{task};
    join.clip = kClip;
    for (const std::uint64_t segment : segments) {
      join.segments.push_back(path("segment-" + std::to_string(segment)));
      join.frame_counts.push_back(kSegmentFrames);
    }
    join.path = path("joined.mkv");
    join.codec = "ffv1";
    join.output = "out.mkv";
    join.output_width = width_;
    join.output_height = height_;
    return join;
  }

  Fixture fixture_;
  net::LocalChannel channel_;  // the worker's end
  std::thread session_;
  int value_ = -1;
  std::int64_t width_ = 0;
  std::int64_t height_ = 0;
  std::string said_;
};

TEST_F(LaneSessionTest, RendersProbesAndJoinsSideBySide) {
  load();
  EXPECT_GT(next<net::PackageLoaded>().weights_bytes, 0U);
  define_clip();
  send(segment_task(10, 0));
  send(segment_task(11, kSegmentFrames));
  send(net::OfferKernels{});             // the receiver's own, whatever else waits
  send(probe_task(12, path("none.mkv")));  // on the other thread, while frames are rendered
  std::set<std::uint64_t> ended;
  while (ended.size() < 3) {
    const net::FromLane message = receive();
    if (const auto* done = std::get_if<net::SegmentDone>(&message); done != nullptr) {
      EXPECT_EQ(done->frames, kSegmentFrames);
      EXPECT_EQ(done->frame_hashes.size(), std::size_t{16} * kSegmentFrames);
      ended.insert(done->task.value);
    } else if (const auto* failed = std::get_if<net::LaneTaskFailed>(&message); failed != nullptr) {
      EXPECT_EQ(failed->task.value, 12U) << failed->fault.error.message;
      ended.insert(failed->task.value);
    } else {
      ASSERT_TRUE(std::holds_alternative<net::Progress>(message)) << message.index();
    }
  }
  send(join_task(13, {10, 11}));
  EXPECT_EQ(next<net::JoinDone>().frames, kFrames);
}

double used_s(int who) {
  rusage used{};
  ::getrusage(who, &used);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// The session is in this process: what its children used is the system's sum, and what it used itself is more than it counts.
TEST_F(LaneSessionTest, SegmentsSayWhatTheyTookOfTheHostsCores) {
  load();
  (void)next<net::PackageLoaded>();
  define_clip();
  const double own_s = used_s(RUSAGE_SELF);
  const double children_s = used_s(RUSAGE_CHILDREN);
  send(segment_task(10, 0));
  const auto done = next<net::SegmentDone>();
  const double of_children_s = used_s(RUSAGE_CHILDREN) - children_s;
  const double of_all_s = of_children_s + used_s(RUSAGE_SELF) - own_s;
  constexpr double kClockTick = 0.02;  // in which the system counts some of it
  EXPECT_GT(done.decode_core_s, 0.0);
  EXPECT_GT(done.model_core_s, 0.0);
  EXPECT_GT(done.encode_core_s, 0.0);
  EXPECT_GE(done.decode_core_s + done.encode_core_s, of_children_s - kClockTick);
  EXPECT_LE(done.decode_core_s + done.model_core_s + done.encode_core_s, of_all_s + kClockTick);
}

TEST_F(LaneSessionTest, WhatIsCancelledFailsAndTheNextOneIsRendered) {
  load();
  (void)next<net::PackageLoaded>();
  define_clip();
  net::SegmentTask waiting = segment_task(10, 0);
  waiting.executor = "compiled";  // of an artifact that never comes
  send(waiting);
  send(net::Cancel{TaskId{10}});
  const auto failed = next<net::LaneTaskFailed>();
  EXPECT_EQ(failed.task.value, 10U);
  EXPECT_EQ(failed.fault.failure, "cancelled");
  send(segment_task(11, 0));
  EXPECT_EQ(next<net::SegmentDone>().task.value, 11U);
}

// Of a session that ends with work in it, nothing is left.
TEST_F(LaneSessionTest, EndsWithSegmentsThatWait) {
  load();
  (void)next<net::PackageLoaded>();
  define_clip();
  for (std::uint64_t task = 10; task < 12; ++task) {
    net::SegmentTask waiting = segment_task(task, 0);
    waiting.executor = "compiled";
    send(waiting);
  }
}

TEST_F(LaneSessionTest, APackageThatIsRefusedLeavesNoneLoaded) {
  load();
  (void)next<net::PackageLoaded>();
  define_clip();
  load("format = 'none'");
  EXPECT_FALSE(next<net::Failed>().fault.error.message.empty());
  send(segment_task(10, 0));
  EXPECT_EQ(next<net::LaneTaskFailed>().fault.error.message, "no package is loaded");
  load();
  (void)next<net::PackageLoaded>();
  send(segment_task(11, 0));
  EXPECT_EQ(next<net::SegmentDone>().frames, kSegmentFrames);
}

}  // namespace
}  // namespace kiln::lane
