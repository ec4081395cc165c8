// Stands where ffmpeg is named (kiln ... --ffmpeg): as an encoder it reads every byte of every plane from the pipe and encodes
// nothing, so that what a lane can give is seen apart from what an encoder can take; as everything else it is the ffmpeg of
// KILN_REAL_FFMPEG. Each "encoded" frame is 16 bytes: with KILN_NULL_HASH=1 the XXH3-128 of its planes, else its number.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "lane/media/color/frame_hash.h"
#include "lane/media/mov_track.h"
#include "lane/media/nut_demuxer.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kSampleBytes = 16;

class StandardInput final : public ByteSource {
 public:
  Result<std::size_t> read_some(std::span<std::byte> bytes) override {
    const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (got < 0) return fail(errno_error(errno, "stdin"));
    return static_cast<std::size_t>(got);
  }
};

std::string value_of(const std::vector<std::string_view>& arguments, std::string_view name) {
  const auto found = std::find(arguments.begin(), arguments.end(), name);
  return found == arguments.end() || found + 1 == arguments.end() ? "" : std::string(found[1]);
}

// A sample description of FFV1 that holds nothing but a size.
std::vector<std::byte> description(std::uint64_t width, std::uint64_t height) {
  std::vector<std::byte> out(16 + 86);
  const auto put = [&](std::size_t at, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
  };
  put(0, out.size(), 4);
  std::memcpy(out.data() + 4, "stsd", 4);
  put(12, 1, 4);
  put(16, 86, 4);
  std::memcpy(out.data() + 20, "FFV1", 4);
  put(30, 1, 2);
  put(48, width, 2);
  put(50, height, 2);
  put(52, 0x480000, 4);
  put(56, 0x480000, 4);
  put(64, 1, 2);
  put(98, 24, 2);
  put(100, 0xFFFF, 2);
  return out;
}

void append_sample(std::vector<std::byte>& samples, const NutFrame& frame, std::uint64_t number, bool hashes) {
  FrameHash value{0, number};
  if (hashes) value = hash_frame(frame.bytes);
  for (const std::uint64_t half : {value.high, value.low}) {
    for (int shift = 56; shift >= 0; shift -= 8) samples.push_back(static_cast<std::byte>(half >> shift));
  }
}

Status encode(const std::vector<std::string_view>& arguments) {
  const std::string output(arguments.back().substr(std::string_view("file:").size()));
  const char* hash = std::getenv("KILN_NULL_HASH");
  const bool hashes = hash != nullptr && std::string_view(hash) == "1";
  StandardInput input;
  NutDemuxer demuxer(input, {});
  KILN_TRY(demuxer.read_headers());
  const NutStream& stream = demuxer.streams().at(0);
  MovTrack track;
  track.timescale = static_cast<std::uint32_t>(std::atol(value_of(arguments, "-video_track_timescale").c_str()));
  track.sample_description = description(stream.width, stream.height);
  NutFrame frame;
  std::vector<std::byte> samples;
  while (true) {
    KILN_TRY_ASSIGN(const bool more, demuxer.next(frame));
    if (!more) break;
    const auto pts = rescale(frame.pts, stream.time_base, {1, track.timescale});
    if (!pts) return fail(make_error(ErrorCode::kOutOfRange, "a time out of range"));
    track.samples.push_back({track.samples.size() * kSampleBytes, kSampleBytes, *pts, *pts, true});
    append_sample(samples, frame, track.samples.size(), hashes);
  }
  KILN_TRY_ASSIGN(const auto head, mov_head(track, {static_cast<int>(stream.width), static_cast<int>(stream.height), {}}, 1));
  UniqueFd fd(::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd.valid()) return fail(errno_error(errno, output));
  KILN_TRY(write_fully(fd.get(), head));
  return write_fully(fd.get(), samples);
}

}  // namespace
}  // namespace kiln::lane

int main(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv, argv + argc);
  if (std::find(arguments.begin(), arguments.end(), "nut") != arguments.end() && arguments.back().substr(0, 5) == "file:") {
    const kiln::Status done = kiln::lane::encode(arguments);
    if (done) return 0;
    fmt::print(stderr, "null encoder: {}\n", done.error().message);
    return 1;
  }
  const char* real = std::getenv("KILN_REAL_FFMPEG");
  if (real == nullptr) {
    fmt::print(stderr, "null encoder: KILN_REAL_FFMPEG names no ffmpeg\n");
    return 1;
  }
  ::execv(real, argv);
  fmt::print(stderr, "null encoder: cannot run {}\n", real);
  return 1;
}
