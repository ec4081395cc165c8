#include <gtest/gtest.h>

#include <random>

#include "lane/media/nut_demuxer.h"
#include "lane/media/nut_format.h"
#include "lane/media/nut_muxer.h"

namespace kiln::lane {
namespace {

using Bytes = std::vector<std::byte>;

NutVideo small_video() {
  NutVideo video;
  video.width = 3;
  video.height = 2;
  video.time_base = {1001, 30000};
  video.sample_aspect = {32, 27};
  video.frame_rate = {30000, 1001};
  return video;
}

Bytes stream_of(const NutVideo& video, const std::vector<std::int64_t>& times) {
  Bytes out = nut_headers(video);
  const Bytes planes(video.format.frame_bytes(video.width, video.height), std::byte{'N'});
  for (const auto pts : times) {
    const Bytes head = nut_frame_head(pts, planes.size());
    out.insert(out.end(), head.begin(), head.end());
    out.insert(out.end(), planes.begin(), planes.end());
  }
  return out;
}

// Reads all that there is; whatever the bytes are, this ends.
std::size_t count_frames(std::span<const std::byte> bytes) {
  MemorySource source(bytes);
  NutDemuxer demuxer(source, NutLimits{1U << 20U});
  if (!demuxer.read_headers()) return 0;
  NutFrame frame;
  std::size_t count = 0;
  while (count < 10000) {
    auto more = demuxer.next(frame);
    if (!more || !*more) break;
    ++count;
  }
  return count;
}

TEST(NutTest, DemuxerReturnsWhatTheMuxerWrote) {
  const NutVideo video = small_video();
  const std::vector<std::int64_t> times{0, 1, 7, 1000000, 1LL << 40};
  const Bytes bytes = stream_of(video, times);
  MemorySource source(bytes);
  NutDemuxer demuxer(source, NutLimits{});
  ASSERT_TRUE(demuxer.read_headers());
  ASSERT_EQ(demuxer.streams().size(), 1U);
  EXPECT_EQ(demuxer.streams()[0].time_base, video.time_base);
  EXPECT_EQ(demuxer.streams()[0].fourcc, "I420");
  EXPECT_EQ(demuxer.streams()[0].width, 3U);
  NutFrame frame;
  for (const auto pts : times) {
    auto more = demuxer.next(frame);
    ASSERT_TRUE(more && *more);
    EXPECT_EQ(frame.pts, pts);
    EXPECT_TRUE(frame.keyframe);
    EXPECT_EQ(frame.bytes.size(), video.format.frame_bytes(3, 2));
  }
  auto more = demuxer.next(frame);
  ASSERT_TRUE(more);
  EXPECT_FALSE(*more);
}

TEST(NutTest, EveryPrefixOfAStreamEndsWithoutHarm) {
  const Bytes bytes = stream_of(small_video(), {0, 1, 2});
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_LE(count_frames(std::span(bytes).first(n)), 2U);
  EXPECT_EQ(count_frames(bytes), 3U);
}

TEST(NutTest, AnyDamageIsReadOrRefusedNeverFatal) {
  const Bytes good = stream_of(small_video(), {0, 1, 2, 3, 4, 5});
  std::mt19937 random(20261122);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = good;
    const int changes = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < changes; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    count_frames(bytes);
  }
}

// Headers whose checksums are right but whose values are not.
TEST(NutTest, AnyHeaderValuesAreReadOrRefused) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes;
    for (const char c : nut::kFileId) bytes.push_back(static_cast<std::byte>(c));
    for (const auto start : {nut::kMainStart, nut::kStreamStart, nut::kSyncpointStart}) {
      Bytes payload(1 + random() % 60);
      for (auto& byte : payload) byte = static_cast<std::byte>(random() % (random() % 2 == 0 ? 4 : 256));
      if (start == nut::kMainStart) payload[0] = std::byte{3};
      for (int i = 7; i >= 0; --i) bytes.push_back(static_cast<std::byte>(start >> (8 * i)));
      bytes.push_back(static_cast<std::byte>(payload.size() + 4));
      bytes.insert(bytes.end(), payload.begin(), payload.end());
      const std::uint32_t sum = nut::checksum(0, payload);
      for (int i = 3; i >= 0; --i) bytes.push_back(static_cast<std::byte>(sum >> (8 * i)));
    }
    for (int i = 0; i < 200; ++i) bytes.push_back(static_cast<std::byte>(random()));
    count_frames(bytes);
  }
}

TEST(NutTest, FrameLargerThanTheBoundIsRefusedBeforeItIsRead) {
  Bytes bytes = nut_headers(small_video());
  const Bytes head = nut_frame_head(0, 1ULL << 40U);
  bytes.insert(bytes.end(), head.begin(), head.end());
  MemorySource source(bytes);
  NutDemuxer demuxer(source, NutLimits{1U << 20U});
  ASSERT_TRUE(demuxer.read_headers());
  NutFrame frame;
  EXPECT_FALSE(demuxer.next(frame));
}

}  // namespace
}  // namespace kiln::lane
