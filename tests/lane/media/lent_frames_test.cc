// Frames that an encoder reads where they lie.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "base/fd.h"
#include "base/process.h"
#include "base/sha256.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/segment_writer.h"
#include "tests/lane/media/synthetic_clips.h"

namespace kiln::lane {
namespace {

using kiln::test::TempFolder;
using test::Bytes;
using test::tools;

constexpr std::size_t kLentBytes = std::size_t{64} << 10U;

bool system_lends() {
  auto pipe = make_pipe();
  if (!pipe) return false;
  std::byte one{};
  const iovec part{&one, 1};
  return ::vmsplice(pipe->write_end.get(), &part, 1, 0) == 1;
}

// As a sandbox does that knows no such call.
void forbid_lending() {
  std::array<sock_filter, 4> program{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vmsplice, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS), sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{program.size(), program.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) ::_exit(9);
}

// What a program reads that begins to read only when the bytes were changed after they were lent.
Bytes read_after_change(const TempFolder& folder) {
  const std::string gate = folder / "gate";
  if (::mkfifo(gate.c_str(), 0600) != 0) return {};
  FfmpegOptions options;
  options.program = "/bin/sh";
  options.arguments = {"-c", "read go < " + gate + "; exec cat"};
  options.feed_stdin = true;
  options.read_stdout = true;
  auto child = FfmpegChild::start(std::move(options));
  if (!child) return {};
  Bytes bytes(kLentBytes, std::byte{'a'});
  if (!(*child)->lend_all(bytes)) return {};
  std::fill(bytes.begin(), bytes.end(), std::byte{'b'});
  std::ofstream(gate) << "go\n";
  (*child)->close_stdin();
  Bytes out(2 * kLentBytes);
  std::size_t size = 0;
  while (size < out.size()) {
    const auto got = (*child)->read_some(std::span(out).subspan(size));
    if (!got || *got == 0) break;
    size += *got;
  }
  out.resize(size);
  return out;
}

TEST(LentFramesTest, AreNotCopied) {
  if (!system_lends()) GTEST_SKIP() << "vmsplice is not there";
  const TempFolder folder;
  EXPECT_EQ(read_after_change(folder), Bytes(kLentBytes, std::byte{'b'}));
}

TEST(LentFramesTest, AreCopiedWhereTheSystemCannotLend) {
  const TempFolder folder;
  const auto copied = [&] {
    forbid_lending();
    ::_exit(read_after_change(folder) == Bytes(kLentBytes, std::byte{'a'}) ? 0 : 1);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(copied(), ::testing::ExitedWithCode(0), "");
}

// The buffer before the last is written anew as soon as the last was lent, as a ring does.
TEST(LentFramesTest, EncodeToTheSameBytesAsCopiedOnes) {
  constexpr PixelFormat k420{PixelLayout::kYuv420, 8, false};
  constexpr std::int64_t kFrames = 12;
  const TempFolder folder;
  const ClipInfo clip = test::synthetic_clip(1920, 1080, k420, {1, 1000}, test::irregular_times(kFrames));
  const auto settings = plan_encoder(tools(), clip, test::request_for(clip, Codec::kFfv1, Container::kMatroska));
  ASSERT_TRUE(settings) << settings.error().message;
  ASSERT_TRUE(test::encode_segment(*settings, clip, 0, kFrames, folder / "copied"));
  std::array<Bytes, 2> ring;
  auto writer = SegmentWriter::open(tools(), *settings, folder / "lent");
  ASSERT_TRUE(writer) << writer.error().message;
  for (std::int64_t i = 0; i < kFrames; ++i) {
    Bytes& slot = ring.at(static_cast<std::size_t>(i % 2));
    const Bytes frame = test::pattern_frame(k420, 1920, 1080, i);
    slot.resize(frame.size());
    std::copy(frame.begin(), frame.end(), slot.begin());
    ASSERT_TRUE(writer->lend(clip.frames[static_cast<std::size_t>(i)].pts, slot));
    Bytes& before = ring.at(static_cast<std::size_t>((i + 1) % 2));
    std::fill(before.begin(), before.end(), std::byte{0xEE});
  }
  const auto summary = writer->finish();
  ASSERT_TRUE(summary) << summary.error().message;
  const auto digest = [](const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return sha256_of_fd(fd.get()).value().hex();
  };
  EXPECT_EQ(digest(folder / "lent"), digest(folder / "copied"));
}

}  // namespace
}  // namespace kiln::lane
