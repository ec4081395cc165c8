// What the tests of lane/media share: the tools under test, clips made with them, and looking at results.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/media_tools.h"
#include "lane/media/segment_join.h"
#include "lane/media/segment_writer.h"
#include "tests/base/temp_folder.h"

namespace kiln::lane::test {

using Bytes = std::vector<std::byte>;

// The ffmpeg of KILN_TEST_FFMPEG, else that of PATH. Skips nothing: the tests need one.
[[nodiscard]] const MediaTools& tools();

// Runs ffmpeg or ffprobe to its end; an error fails the test.
void ffmpeg(const std::vector<std::string>& arguments);
[[nodiscard]] std::string ffprobe(const std::vector<std::string>& arguments);
// One field of one stream ("v:0", "a:1"), as ffprobe prints it; "" when absent.
[[nodiscard]] std::string stream_field(const std::string& path, const std::string& stream, const std::string& field);
// Seconds of every packet of a stream, sorted.
[[nodiscard]] std::vector<double> packet_times_s(const std::string& path, const std::string& stream);
// MD5 over the packets' bytes of a stream, as they are.
[[nodiscard]] std::string packets_md5(const std::string& path, const std::string& stream);
// MD5 over the decoded samples of a sound track, as 24 bits where it has no more.
[[nodiscard]] std::string samples_md5(const std::string& path, const std::string& stream);
// SHA-256 over all decoded planes in `pixel_format`.
[[nodiscard]] std::string decoded_sha256(const std::string& path, const std::string& pixel_format);

// A moving pattern that B-frames like, different for each `index`.
[[nodiscard]] Bytes pattern_frame(const PixelFormat& format, int width, int height, std::int64_t index);

// A clip that no file stands behind: `frames` with times `pts`.
[[nodiscard]] ClipInfo synthetic_clip(int width, int height, PixelFormat format, Rational time_base,
                                      const std::vector<std::int64_t>& pts);
[[nodiscard]] OutputRequest request_for(const ClipInfo& clip, Codec codec, Container container);
// Irregular, rising times with gaps and single ticks.
[[nodiscard]] std::vector<std::int64_t> irregular_times(std::size_t count);

struct Joined {
  std::string path;
  JoinReport report;
  std::vector<SegmentFile> segments;
  EncoderSettings settings;
};

// Encodes pattern frames in segments of `segment_frames` and joins them into `folder`/out.EXT.
[[nodiscard]] Result<Joined> render(const kiln::test::TempFolder& folder, const ClipInfo& clip,
                                    const OutputRequest& request, std::int64_t segment_frames);
[[nodiscard]] Result<SegmentFile> encode_segment(const EncoderSettings& settings, const ClipInfo& clip,
                                                 std::int64_t first, std::int64_t end, const std::string& path);
// Every frame of `clip` once, in order, within one tick of the file.
void expect_times(const std::string& path, const ClipInfo& clip);

}  // namespace kiln::lane::test
