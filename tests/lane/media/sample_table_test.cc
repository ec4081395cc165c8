// Segments are read back from their sample tables: any bytes there are read or refused.
#include "lane/media/mov_track.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>

#include "base/fd.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using test::Bytes;

// The tables as our own writer makes them, behind "ftyp".
Bytes sample_file() {
  MovTrack track;
  track.timescale = 30000;
  track.sample_description = Bytes(16 + 86 + 20, std::byte{0});
  track.sample_description[3] = static_cast<std::byte>(track.sample_description.size());
  for (const std::size_t at : {4U, 5U, 6U, 7U}) track.sample_description[at] = static_cast<std::byte>("stsd"[at - 4]);
  for (std::int64_t i = 0; i < 6; ++i) {
    track.samples.push_back({0, static_cast<std::uint32_t>(10 + i), i * 1001, i * 1001 + (i % 2) * 2002, i % 3 == 0});
  }
  auto head = mov_head(track, {96, 64, std::nullopt}, 1001);
  EXPECT_TRUE(head) << head.error().message;
  Bytes bytes = head.value_or(Bytes{});
  bytes.resize(bytes.size() + 75, std::byte{7});
  return bytes;
}

Result<MovTrack> read_back(const Bytes& bytes) {
  const UniqueFd fd(::memfd_create("segment", MFD_CLOEXEC));
  EXPECT_TRUE(write_fully(fd.get(), bytes));
  return read_mov_track(fd.get());
}

TEST(SampleTableTest, ReaderReturnsWhatTheWriterWrote) {
  const auto track = read_back(sample_file());
  ASSERT_TRUE(track) << track.error().message;
  EXPECT_EQ(track->timescale, 30000U);
  ASSERT_EQ(track->samples.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto number = static_cast<std::int64_t>(i);
    EXPECT_EQ(track->samples[i].size, 10 + i);
    EXPECT_EQ(track->samples[i].dts, number * 1001);
    EXPECT_EQ(track->samples[i].pts, number * 1001 + (number % 2) * 2002);
    EXPECT_EQ(track->samples[i].sync, i % 3 == 0);
  }
  EXPECT_EQ(track->samples[1].offset, track->samples[0].offset + 10);
}

TEST(SampleTableTest, EveryPrefixIsRefused) {
  const Bytes whole = sample_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_back(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)))) << size;
  }
}

TEST(SampleTableTest, RandomBytesAreRefused) {
  std::mt19937 random(6);
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes(random() % 400);
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    EXPECT_FALSE(read_back(bytes));
  }
}

}  // namespace
}  // namespace kiln::lane
