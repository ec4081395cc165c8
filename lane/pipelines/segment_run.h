// One segment on its way through a lane: what is asked for, and what was counted.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "lane/core/segment_window.h"
#include "lane/engine/network.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/encoder_settings.h"
#include "sharding/card_memory.h"
#include "sharding/tile_planner.h"

namespace kiln::lane {

enum class ExecutorChoice { kAny, kCompiled, kUncompiled };
[[nodiscard]] Result<ExecutorChoice> executor_choice_from_string(std::string_view name);

class FramePath;

struct SegmentSpec {
  TaskId task;
  Attempt attempt;
  std::shared_ptr<const ClipInfo> clip;
  SegmentWindow::Range range;
  std::string path;
  TileShape tile;  // of the network's runs
  std::vector<sharding::TileWindow> windows;
  int model_scale = 1;
  EncoderSettings settings;
  ExecutorChoice executor = ExecutorChoice::kAny;
};

// What the stages count, each for itself; read when they are done.
struct StageTimes {
  double decode_s = 0.0;       // reader: waiting for ffmpeg, planes to RGB
  double model_s = 0.0;        // model: tiles, the network, resampling
  double wait_decode_s = 0.0;  // model: nothing to do
  double wait_encode_s = 0.0;  // model: nowhere to put the result
  double encode_s = 0.0;       // writer: RGB to planes, waiting for ffmpeg
  double card_s = 0.0;         // writer: what the card took for the frames that came from it
  double decode_core_s = 0.0;  // reader: of the host's cores, its own and its ffmpegs'
  double encode_core_s = 0.0;  // writer: likewise
  StageTimes& operator+=(const StageTimes& other);
};

// Sums of a run whose model worked for `wall_s`, such that model_s and the two waits are that together. What puts work into a
// card's line waits also because that is long: only while the card had nothing to do did it wait for somebody else.
[[nodiscard]] StageTimes shares_of(StageTimes sums, double wall_s);

struct PieceResult {
  std::int64_t first_frame = 0;
  std::int64_t frame_count = 0;
  std::string path;  // of its encoded frames
  StageTimes times;
  std::string frame_hashes;  // 16 bytes a frame: XXH3-128 of the planes handed to the encoder
};

// Shared by the stages of a pipeline and by the run's pieces.
struct SegmentRun {
  SegmentRun(SegmentSpec what, std::size_t pieces_count)
      : spec(std::move(what)), pieces(pieces_count), unrendered(pieces_count), unwritten(pieces_count) {}

  // The first failure counts; the other stages then drop what is left of this run.
  void fail_with(Error error, std::string_view failure_class);
  void fail_with(const Error& error);  // of the class that it says itself
  [[nodiscard]] bool failed() const { return failed_.load(); }
  [[nodiscard]] Error error() const;
  [[nodiscard]] std::string failure_class() const;
  [[nodiscard]] StageTimes times() const;            // of all pieces
  [[nodiscard]] std::string frame_hashes() const;    // likewise, in the order of frames

  const SegmentSpec spec;
  CancelSignal cancel;
  std::atomic<std::int64_t> frames_done{0};
  std::atomic<std::int64_t> frames_compiled{0};
  std::vector<PieceResult> pieces;          // each written by its own stages alone
  std::size_t unrendered;                   // pieces; the model's thread
  std::atomic<std::size_t> unwritten;       // pieces
  std::chrono::steady_clock::time_point started{};  // of the model's thread, with this run
  double model_cores_at_start = 0.0;  // model_cores_s() of the pipeline then
  double model_core_s = 0.0;          // of the host's cores, over the same time as wall_s
  double wall_s = 0.0;  // until the model was done with this run, since it began or was done with the one before
  std::uint64_t bytes_written = 0;
  std::optional<sharding::CardHoldings> holdings;  // what stands on the card for it, weights apart; none: frames cross host memory
  std::optional<std::chrono::steady_clock::time_point> first_frame_at;  // of its pipeline, to an encoder; at the end

 private:
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  Error error_;
  std::string failure_class_;
};

// Consecutive frames of a run, with a decoder and an encoder of their own: software encoders of large frames are slower than
// a card, and several of them are not.
struct RunPiece {
  std::shared_ptr<SegmentRun> run;
  std::size_t number = 0;  // in its run
  SegmentWindow::Range range;
  std::string path;
  std::shared_ptr<FramePath> frames;  // the reader makes it, before the first frame

  [[nodiscard]] StageTimes& times() const { return run->pieces[number].times; }
};

// Pieces of less are not worth a decoder that begins at the key frame before, and a key frame of their own.
inline constexpr std::int64_t kPieceFramesMin = 24;

// As equal as they can be, at most `pieces_max`.
[[nodiscard]] std::vector<RunPiece> cut_into_pieces(SegmentSpec spec, std::size_t pieces_max);

}  // namespace kiln::lane
