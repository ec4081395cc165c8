// Encoders alone, fed from memory as a lane beside a card feeds its channels:
//   build/release/bench/encoder_pieces CLIP FOLDER PRESET CHANNELS THREADS PIECE_FRAMES PIECES ROUNDS
// A line of JSON for each round and way: "whole" is the floor, one process a channel for all frames of it; "in_turn" a process for
// each piece, where the next begins when the one before has ended; "beside" where it is fed while that one ends.
#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/frame_reader.h"
#include "lane/media/segment_writer.h"
#include "lane/pipelines/ending_encoders.h"

namespace kiln::lane {
namespace {

constexpr std::int64_t kFramesInMemoryMax = 48;  // given again and again

struct Bench {
  MediaTools tools;
  ClipInfo clip;
  EncoderSettings settings;
  std::vector<RawFrame> frames;
  std::string folder;
};

struct Way {
  const char* name;
  std::size_t ending;
  std::int64_t piece_frames;
  std::int64_t pieces;
};

struct Sums {
  std::atomic<double> core_s{0};
  std::atomic<std::uint64_t> bytes{0};
};

[[noreturn]] void give_up(const Error& error) {
  fmt::print(stderr, "encoder_pieces: {}\n", error.message);
  std::exit(1);
}

template <typename T>
T value_of(Result<T> result) {
  if (!result) give_up(result.error());
  return std::move(*result);
}

void channel(const Bench& bench, const Way& way, int number, Sums& sums) {
  EndingEncoders ending(way.ending);
  for (std::int64_t piece = 0; piece < way.pieces; ++piece) {
    auto core_s = std::make_unique<double>(0.0);
    const std::string path = fmt::format("{}/{}-{}", bench.folder, number, piece);
    auto writer = value_of(SegmentWriter::open(bench.tools, bench.settings, path, nullptr, core_s.get()));
    for (std::int64_t i = 0; i < way.piece_frames; ++i) {
      const auto& planes = bench.frames[static_cast<std::size_t>((piece * way.piece_frames + i) % std::ssize(bench.frames))].bytes;
      const std::int64_t pts = i * bench.clip.frames[1].pts;
      const bool last = i + 1 == way.piece_frames;
      if (auto status = last ? writer.write(pts, planes) : writer.lend(pts, planes); !status) give_up(status.error());
    }
    ending.add([&sums, path, core = std::move(core_s), encoder = std::move(writer)]() mutable {
      sums.bytes += value_of(encoder.finish()).file_bytes;
      sums.core_s += *core;
      std::filesystem::remove(path);
    });
  }
}

void measure(const Bench& bench, const Way& way, int channels) {
  Sums sums;
  const auto began = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < channels; ++i) threads.emplace_back([&, i] { channel(bench, way, i, sums); });
  }
  const double wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double frames = static_cast<double>(way.piece_frames * way.pieces * channels);
  fmt::print(R"({{"way": "{}", "frames_per_second": {:.2f}, "wall_s": {:.2f}, "encoder_core_s": {:.2f}, "cores_busy": {:.2f}, "bytes": {}}})"
             "\n", way.name, frames / wall_s, wall_s, sums.core_s.load(), sums.core_s.load() / wall_s, sums.bytes.load());
  std::fflush(stdout);
}

Bench prepare(const std::string& clip, const std::string& folder, const std::string& preset, int threads) {
  Bench out{value_of(find_media_tools({})), {}, {}, {}, folder};
  std::filesystem::create_directories(folder);
  out.clip = value_of(probe_clip(out.tools, {clip}));
  OutputRequest request;
  request.width = out.clip.width;
  request.height = out.clip.height;
  request.format = out.clip.format;
  request.color = out.clip.color;
  request.preset = preset;
  request.quality = 18;
  request.encoder_threads = threads;
  out.settings = value_of(plan_encoder(out.tools, out.clip, request));
  auto reader = value_of(FrameReader::open(out.tools, out.clip, {0, std::min(kFramesInMemoryMax, out.clip.frame_count())}));
  RawFrame frame;
  while (value_of(reader.read(frame))) out.frames.push_back(frame);
  return out;
}

}  // namespace
}  // namespace kiln::lane

int main(int argc, char** argv) {
  constexpr int kArguments = 9;
  if (argc != kArguments) {
    fmt::print(stderr, "encoder_pieces CLIP FOLDER PRESET CHANNELS THREADS PIECE_FRAMES PIECES ROUNDS\n");
    return 2;
  }
  const auto number = [&](int i) { return std::atoi(argv[i]); };
  const auto bench = kiln::lane::prepare(argv[1], argv[2], argv[3], number(5));
  const std::int64_t frames = number(6);
  const std::int64_t pieces = number(7);
  for (int round = 0; round < number(8); ++round) {
    kiln::lane::measure(bench, {"whole", 0, frames * pieces, 1}, number(4));
    kiln::lane::measure(bench, {"in_turn", 0, frames, pieces}, number(4));
    kiln::lane::measure(bench, {"beside", kiln::lane::kEncodersEndingMax, frames, pieces}, number(4));
  }
  return 0;
}
