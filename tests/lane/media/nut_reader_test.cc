#include "lane/media/nut/nut_reader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "lane/media/nut/nut_writer.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kPacketBytesMax = 8ULL << 20U;

struct NutFile {
  NutStream stream;
  std::vector<NutPacket> packets;
};

UniqueFd memory_file(std::span<const std::byte> bytes) {
  UniqueFd fd(::memfd_create("nut", MFD_CLOEXEC));
  EXPECT_TRUE(write_fully(fd.get(), bytes));
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

UniqueFd memory_file(const std::string& text) { return memory_file(std::as_bytes(std::span(text))); }

Result<NutFile> read_nut(int fd) {
  NutReader reader(fd, kPacketBytesMax, nullptr);
  NutFile file;
  KILN_TRY_ASSIGN(file.stream, reader.read_header());
  NutPacket packet;
  while (true) {
    KILN_TRY_ASSIGN(const bool more, reader.read_packet(packet));
    if (!more) return file;
    file.packets.push_back(packet);
  }
}

std::vector<std::byte> some_bytes(std::size_t count, unsigned seed) {
  std::vector<std::byte> bytes(count);
  std::mt19937 random(seed);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

NutFile sample_file() {
  NutFile file;
  file.stream = {.fourcc = "H264", .time_base = {1001, 30000}, .width = 320, .height = 181,
                 .sample_width = 4, .sample_height = 3, .decode_delay = 2, .extradata = some_bytes(5000, 1)};
  const std::vector<std::int64_t> times{0, 4, 2, 1, 3, 1'000'000'000'000, 70};
  const std::vector<std::size_t> sizes{0, 1, 4096, 4097, 70000, 5'000'000, 77};
  for (std::size_t i = 0; i < times.size(); ++i) {
    file.packets.push_back({times[i], i % 3 == 0, some_bytes(sizes[i], static_cast<unsigned>(i))});
  }
  return file;
}

std::string written(const NutFile& file) {
  UniqueFd fd(::memfd_create("nut", MFD_CLOEXEC));
  NutWriter writer(fd.get(), nullptr);
  EXPECT_TRUE(writer.write_header(file.stream));
  for (const auto& packet : file.packets) {
    EXPECT_TRUE(writer.write_packet(packet.pts, packet.keyframe, packet.bytes));
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return *read_to_end(fd.get(), 1ULL << 30U);
}

TEST(NutReaderTest, ReadsWhatTheWriterWrote) {
  const NutFile file = sample_file();
  const auto back = read_nut(memory_file(written(file)).get());
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->stream.fourcc, file.stream.fourcc);
  EXPECT_EQ(back->stream.time_base, file.stream.time_base);
  EXPECT_EQ(back->stream.width, 320);
  EXPECT_EQ(back->stream.height, 181);
  EXPECT_EQ(back->stream.sample_width, 4);
  EXPECT_EQ(back->stream.sample_height, 3);
  EXPECT_EQ(back->stream.decode_delay, 2);
  EXPECT_EQ(back->stream.extradata, file.stream.extradata);
  ASSERT_EQ(back->packets.size(), file.packets.size());
  for (std::size_t i = 0; i < file.packets.size(); ++i) {
    EXPECT_EQ(back->packets[i].pts, file.packets[i].pts) << i;
    EXPECT_EQ(back->packets[i].keyframe, file.packets[i].keyframe) << i;
    EXPECT_EQ(back->packets[i].bytes, file.packets[i].bytes) << i;
  }
}

TEST(NutReaderTest, RefusesAStreamThatEndsInsideAPacket) {
  NutFile file = sample_file();
  file.packets.resize(2);
  const std::string whole = written(file);
  int whole_streams = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto result = read_nut(memory_file(whole.substr(0, size)).get());
    // Where one frame ends and the next has not begun the stream is whole: only the index knows better.
    if (result) ++whole_streams;
    else EXPECT_EQ(result.error().code, ErrorCode::kDataLoss);
  }
  EXPECT_LE(whole_streams, 3 + 30);
}

TEST(NutReaderTest, RefusesAFrameAboveTheBoundBeforeItIsAllocated) {
  NutFile file = sample_file();
  file.packets = {{0, true, some_bytes(kPacketBytesMax + 1, 3)}};
  const auto result = read_nut(memory_file(written(file)).get());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kDataLoss);
}

TEST(NutWriterTest, RefusesNegativeTimes) {
  UniqueFd fd(::memfd_create("nut", MFD_CLOEXEC));
  NutWriter writer(fd.get(), nullptr);
  EXPECT_EQ(writer.write_packet(-1, true, {}).error().code, ErrorCode::kOutOfRange);
}

TEST(NutWriterTest, ReportsAReaderThatIsGone) {
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  pipe->read_end.reset();
  NutWriter writer(pipe->write_end.get(), nullptr);
  const auto status = writer.write_header(sample_file().stream);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
}

TEST(NutReaderTest, SurvivesMutatedBytes) {
  NutFile file = sample_file();
  file.packets.resize(5);
  const std::string whole = written(file);
  std::mt19937 random(7);
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = whole;
    const unsigned changes = 1 + random() % 8;
    for (unsigned i = 0; i < changes; ++i) {
      // Mostly in the headers, where it hurts.
      const std::size_t at = random() % (i % 2 == 0 ? 200 : bytes.size());
      bytes[at] = static_cast<char>(random());
    }
    if (round % 5 == 0) bytes.resize(random() % bytes.size());
    (void)read_nut(memory_file(bytes).get());
  }
}

TEST(NutReaderTest, RefusesRandomBytes) {
  std::mt19937 random(11);
  for (unsigned round = 0; round < 500; ++round) {
    const auto bytes = some_bytes(random() % 5000, round);
    EXPECT_FALSE(read_nut(memory_file(bytes).get()));
  }
}

}  // namespace
}  // namespace kiln::lane
