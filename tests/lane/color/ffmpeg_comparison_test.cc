// An independent check: ffmpeg's two scalers, asked for the same conversion, agree on smooth
// pictures.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fd.h"
#include "base/process.h"
#include "lane/media/color/lanczos.h"
#include "tests/lane/color/color_frames.h"

namespace kiln::lane {
namespace {

constexpr int kWidth = 96;
constexpr int kHeight = 64;
constexpr std::chrono::seconds kDeadline{60};

// A file without a name: ffmpeg reads it as its standard input.
UniqueFd input_of(const std::vector<std::byte>& bytes) {
  std::string name = testing::TempDir() + "kiln-color-XXXXXX";
  UniqueFd fd(mkstemp(name.data()));
  KILN_CHECK(fd.valid(), "{} cannot be made", name);
  unlink(name.c_str());
  KILN_CHECK(write_fully(fd.get(), bytes).has_value(), "{} cannot be written", name);
  lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

// One raw frame through an ffmpeg filter.
std::vector<std::byte> through_ffmpeg(const std::vector<std::byte>& frame, const std::string& from,
                                      const std::string& filter, const std::string& to) {
  const UniqueFd input = input_of(frame);
  SpawnOptions options;
  options.argv = {"ffmpeg",   "-v",
                  "error",    "-nostdin",
                  "-f",       "rawvideo",
                  "-pix_fmt", from,
                  "-s",       fmt::format("{}x{}", kWidth, kHeight),
                  "-i",       "pipe:0",
                  "-vf",      filter + ",format=" + to,
                  "-f",       "rawvideo",
                  "-pix_fmt", to,
                  "pipe:1"};
  options.stdin_fd = input.get();
  const auto output = run_command(options, kDeadline);
  EXPECT_TRUE(output && output->status.ok())
      << filter << ": " << (output ? output->err : output.error().message);
  if (!output) return {};
  std::vector<std::byte> bytes(output->out.size());
  std::memcpy(bytes.data(), output->out.data(), bytes.size());
  return bytes;
}

struct Conversion {
  const char* yuv;
  const char* rgb;  // ffmpeg's planar format of the same depth
  ColorRange range;
  ColorMatrix matrix;
  ChromaSiting siting;

  [[nodiscard]] FrameConverter planes() const {
    return a_converter(yuv, a_color(range, matrix, siting), kWidth, kHeight);
  }
  [[nodiscard]] FrameConverter colors() const {
    return a_converter(rgb, a_color(ColorRange::kFull, ColorMatrix::kRgb), kWidth, kHeight);
  }
  // Edges are not treated alike, which a code value of 10 bits is small enough to show.
  [[nodiscard]] int tolerance() const { return a_format(yuv).bit_depth > 8 ? 2 : 1; }
  [[nodiscard]] std::string name() const {
    return fmt::format("{} {} {} {}", yuv, to_ffmpeg(range), to_ffmpeg(matrix), to_ffmpeg(siting));
  }
};

std::string zscale_matrix(ColorMatrix matrix) {
  if (matrix == ColorMatrix::kBt2020Ncl) return "2020_ncl";
  return matrix == ColorMatrix::kBt709 ? "709" : "170m";
}

std::string zscale_range(ColorRange range) {
  return range == ColorRange::kFull ? "full" : "limited";
}

std::vector<Conversion> conversions() {
  std::vector<Conversion> all;
  for (const ChromaSiting siting :
       {ChromaSiting::kLeft, ChromaSiting::kCenter, ChromaSiting::kTopLeft, ChromaSiting::kTop,
        ChromaSiting::kBottomLeft, ChromaSiting::kBottom}) {
    all.push_back({"yuv420p", "gbrp", ColorRange::kLimited, ColorMatrix::kBt709, siting});
    all.push_back(
        {"yuv420p10le", "gbrp10le", ColorRange::kLimited, ColorMatrix::kBt2020Ncl, siting});
  }
  for (const char* yuv : {"yuv422p", "yuv444p"}) {
    for (const ColorRange range : {ColorRange::kLimited, ColorRange::kFull}) {
      all.push_back({yuv, "gbrp", range, ColorMatrix::kSmpte170m, ChromaSiting::kLeft});
      all.push_back({yuv, "gbrp", range, ColorMatrix::kBt709, ChromaSiting::kLeft});
    }
  }
  return all;
}

TEST(FfmpegComparisonTest, ZscaleMakesTheSameColoursOfPlanes) {
  for (const Conversion& conversion : conversions()) {
    const auto planes = planes_of(conversion.planes(), a_smooth_image(kWidth, kHeight));
    const auto ours = planes_of(conversion.colors(), rgb_of(conversion.planes(), planes));
    const auto theirs = through_ffmpeg(
        planes, conversion.yuv,
        fmt::format(
            "zscale=matrixin={}:rangein={}:chromalin={}:range=full:filter=bicubic:dither=none",
            zscale_matrix(conversion.matrix), zscale_range(conversion.range),
            to_ffmpeg(conversion.siting)),
        conversion.rgb);
    ASSERT_EQ(ours.size(), theirs.size()) << conversion.name();
    const PixelFormat format = a_format(conversion.rgb);
    EXPECT_LE(largest_difference(codes_of(format, ours), codes_of(format, theirs)),
              conversion.tolerance())
        << conversion.name();
  }
}

TEST(FfmpegComparisonTest, ZscaleMakesTheSamePlanesOfColours) {
  for (const Conversion& conversion : conversions()) {
    const auto colors = planes_of(conversion.colors(), a_smooth_image(kWidth, kHeight));
    const auto ours = planes_of(conversion.planes(), rgb_of(conversion.colors(), colors));
    const auto theirs = through_ffmpeg(
        colors, conversion.rgb,
        fmt::format("zscale=rangein=full:matrix={}:range={}:chromal={}:filter=bicubic:dither=none",
                    zscale_matrix(conversion.matrix), zscale_range(conversion.range),
                    to_ffmpeg(conversion.siting)),
        conversion.yuv);
    ASSERT_EQ(ours.size(), theirs.size()) << conversion.name();
    const PixelFormat format = a_format(conversion.yuv);
    EXPECT_LE(largest_difference(codes_of(format, ours), codes_of(format, theirs)),
              conversion.tolerance())
        << conversion.name();
  }
}

TEST(FfmpegComparisonTest, SwscaleAgreesWithinTwoCodeValues) {
  constexpr const char* kFlags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp";
  for (const char* yuv : {"yuv420p", "yuv422p", "yuv444p"}) {
    const Conversion conversion{yuv, "gbrp", ColorRange::kLimited, ColorMatrix::kBt709,
                                ChromaSiting::kLeft};
    const auto planes = planes_of(conversion.planes(), a_smooth_image(kWidth, kHeight));
    const auto colors = planes_of(conversion.colors(), rgb_of(conversion.planes(), planes));
    const auto their_colors = through_ffmpeg(
        planes, yuv,
        fmt::format("scale=in_color_matrix=bt709:in_range=limited:out_range=full:{}", kFlags),
        "gbrp");
    ASSERT_EQ(colors.size(), their_colors.size());
    const PixelFormat rgb = a_format("gbrp");
    EXPECT_LE(largest_difference(codes_of(rgb, colors), codes_of(rgb, their_colors)), 2) << yuv;
    const auto their_planes = through_ffmpeg(
        colors, "gbrp",
        fmt::format("scale=out_color_matrix=bt709:in_range=full:out_range=limited:{}", kFlags),
        yuv);
    const auto our_planes = planes_of(conversion.planes(), rgb_of(conversion.colors(), colors));
    ASSERT_EQ(our_planes.size(), their_planes.size());
    const PixelFormat format = a_format(yuv);
    EXPECT_LE(largest_difference(codes_of(format, our_planes), codes_of(format, their_planes)), 2)
        << yuv;
  }
}

TEST(FfmpegComparisonTest, ZscaleShrinksWithTheSameLanczosAwayFromEdges) {
  constexpr int kToWidth = 56;
  constexpr int kToHeight = 31;
  constexpr int kEdge = 6;  // beyond an edge zscale mirrors, Kiln repeats
  const FrameConverter input =
      a_converter("gbrp", a_color(ColorRange::kFull, ColorMatrix::kRgb), kWidth, kHeight);
  const FrameConverter output =
      a_converter("gbrp", a_color(ColorRange::kFull, ColorMatrix::kRgb), kToWidth, kToHeight);
  const auto frame = planes_of(input, an_image(kWidth, kHeight, [](int x, int y, int channel) {
                                 return 0.5 + 0.3 * std::sin(x * 1.1 + channel) * std::cos(y * 0.9);
                               }));
  const auto resampler = LanczosResampler::create(kWidth, kHeight, kToWidth, kToHeight);
  ASSERT_TRUE(resampler);
  std::vector<float> small(output.rgb_floats());
  const auto rgb = rgb_of(input, frame);
  resampler->resample({rgb.data(), 3UL * kWidth}, {small.data(), 3UL * kToWidth});
  const auto ours = planes_of(output, small);
  const auto theirs = through_ffmpeg(
      frame, "gbrp",
      fmt::format("zscale=w={}:h={}:filter=lanczos:dither=none", kToWidth, kToHeight), "gbrp");
  ASSERT_EQ(ours.size(), theirs.size());
  for (int plane = 0; plane < 3; ++plane) {
    for (int y = kEdge; y < kToHeight - kEdge; ++y) {
      for (int x = kEdge; x < kToWidth - kEdge; ++x) {
        const auto place = static_cast<std::size_t>((plane * kToHeight + y) * kToWidth + x);
        ASSERT_NEAR(std::to_integer<int>(ours[place]), std::to_integer<int>(theirs[place]), 1)
            << plane << " " << x << " " << y;
      }
    }
  }
}

}  // namespace
}  // namespace kiln::lane
