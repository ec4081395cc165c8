#include "net/lane_codec.h"

#include <gtest/gtest.h>

#include <random>

namespace kiln::net {
namespace {

TEST(LaneCodecTest, SegmentTaskRoundTrips) {
  SegmentTask task;
  task.task.value = 7;
  task.attempt.value = 2;
  task.clip.value = 3;
  task.first = 140;
  task.last = 147;
  task.path = "segments/7.nut";
  task.executor = "compiled";
  task.quality = 18;
  const auto back = std::get<SegmentTask>(decode_to_lane(encode(ToLane(task))).value());
  EXPECT_EQ(back.task, task.task);
  EXPECT_EQ(back.attempt, task.attempt);
  EXPECT_EQ(back.clip, task.clip);
  EXPECT_EQ(back.first, 140);
  EXPECT_EQ(back.last, 147);
  EXPECT_EQ(back.path, task.path);
  EXPECT_EQ(back.executor, "compiled");
  EXPECT_EQ(back.quality, 18);
}

TEST(LaneCodecTest, FaultKeepsItsCodeAndExit) {
  LaneTaskFailed failed;
  failed.fault.error = input_refused("broken.mp4: truncated");
  failed.fault.failure = "bad_input";
  const auto back = std::get<LaneTaskFailed>(decode_from_lane(encode(FromLane(failed))).value());
  EXPECT_EQ(back.fault.error.code, ErrorCode::kDataLoss);
  EXPECT_EQ(exit_code(back.fault.error), 65);
  EXPECT_EQ(back.fault.error.message, "broken.mp4: truncated");
  EXPECT_EQ(back.fault.failure, "bad_input");
}

TEST(LaneCodecTest, RepeatedFieldsAndBinaryKeysSurvive) {
  PackageLoaded loaded;
  loaded.inputs = {{"float32", {1, 3, 8, 8}, {192, 1, 24, 3}}, {"float32", {64}, {1}}};
  loaded.peak_activation_bytes = 1ULL << 40U;
  const auto back = std::get<PackageLoaded>(decode_from_lane(encode(FromLane(loaded))).value());
  ASSERT_EQ(back.inputs.size(), 2U);
  EXPECT_EQ(back.inputs[0].strides, (std::vector<std::int64_t>{192, 1, 24, 3}));
  EXPECT_EQ(back.peak_activation_bytes, 1ULL << 40U);
  const OfferArtifact offer{"ab12", std::string("\0\xff\x01", 3)};
  EXPECT_EQ(std::get<OfferArtifact>(decode_to_lane(encode(ToLane(offer))).value()).envelope, offer.envelope);
}

TEST(LaneCodecTest, KernelsAreAskedForAndOffered) {
  const KernelsWanted wanted{"sm_90", "__global__ void f() {}", {"--std=c++17", "--fmad=false"}};
  const auto asked = std::get<KernelsWanted>(decode_from_lane(encode(FromLane(wanted))).value());
  EXPECT_EQ(asked.arch, wanted.arch);
  EXPECT_EQ(asked.source, wanted.source);
  EXPECT_EQ(asked.options, wanted.options);
  const OfferKernels offer{"ab12", std::string("\0\xff\x01", 3), "keys"};
  const auto offered = std::get<OfferKernels>(decode_to_lane(encode(ToLane(offer))).value());
  EXPECT_EQ(offered.key, "ab12");
  EXPECT_EQ(offered.envelope, offer.envelope);
  EXPECT_EQ(offered.trusted_keys, "keys");
}

TEST(LaneCodecTest, GroupsThatShareWeightsAreSpokenOf) {
  const std::string id("\0\xff id", 5);
  EXPECT_EQ(std::get<OpenShare>(decode_to_lane(encode(ToLane(OpenShare{7, 1, 2}))).value()), (OpenShare{7, 1, 2}));
  EXPECT_EQ(std::get<ShareId>(decode_to_lane(encode(ToLane(ShareId{7, id}))).value()), (ShareId{7, id}));
  EXPECT_EQ(std::get<ShareOver>(decode_to_lane(encode(ToLane(ShareOver{7, "gone"}))).value()), (ShareOver{7, "gone"}));
  LoadPackage load;
  load.share = 7;
  EXPECT_EQ(std::get<LoadPackage>(decode_to_lane(encode(ToLane(load))).value()).share, 7U);
  const auto opened = std::get<ShareOpened>(decode_from_lane(encode(FromLane(ShareOpened{7, id}))).value());
  EXPECT_EQ(opened.epoch, 7U);
  EXPECT_EQ(opened.id, id);
  const auto ended = std::get<ShareEnded>(decode_from_lane(encode(FromLane(ShareEnded{7, "no NCCL"}))).value());
  EXPECT_EQ(ended.epoch, 7U);
  EXPECT_EQ(ended.why, "no NCCL");
  PackageLoaded loaded;
  loaded.weights_copied_bytes = 1;
  loaded.weights_received_bytes = 2;
  loaded.weights_s = 0.5;
  const auto back = std::get<PackageLoaded>(decode_from_lane(encode(FromLane(loaded))).value());
  EXPECT_EQ(back.weights_copied_bytes, 1U);
  EXPECT_EQ(back.weights_received_bytes, 2U);
  EXPECT_EQ(back.weights_s, 0.5);
}

TEST(LaneCodecTest, AnyBytesDecodeOrAreRefused) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 64, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    (void)decode_to_lane(bytes);
    (void)decode_from_lane(bytes);
  }
  EXPECT_FALSE(decode_to_lane(""));
}

}  // namespace
}  // namespace kiln::net
