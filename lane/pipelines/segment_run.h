// One segment on its way through a lane: what is asked for, and what was counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "lane/core/segment_window.h"
#include "lane/engine/network.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/encoder_settings.h"
#include "sharding/tile_planner.h"

namespace kiln::lane {

enum class ExecutorChoice { kAny, kCompiled, kUncompiled };
[[nodiscard]] Result<ExecutorChoice> executor_choice_from_string(std::string_view name);

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

// Shared by the three stages of a pipeline. A plain counter is written by one stage and read when the run
// has ended.
class FramePath;

struct SegmentRun {
  explicit SegmentRun(SegmentSpec what) : spec(std::move(what)) {}

  // The first failure counts; the other stages then drop what is left of this run.
  void fail_with(Error error, std::string_view failure_class);
  [[nodiscard]] bool failed() const { return failed_.load(); }
  [[nodiscard]] Error error() const;
  [[nodiscard]] std::string failure_class() const;

  const SegmentSpec spec;
  std::shared_ptr<FramePath> path;  // the reader makes it, before the first frame
  CancelSignal cancel;
  std::atomic<std::int64_t> frames_done{0};
  std::atomic<std::int64_t> frames_compiled{0};
  double decode_s = 0.0;       // reader: waiting for ffmpeg, planes to RGB
  double model_s = 0.0;        // model: tiles, the network, resampling
  double wait_decode_s = 0.0;  // model: nothing to do
  double wait_encode_s = 0.0;  // model: nowhere to put the result; on a card also because that is behind
  double encode_s = 0.0;       // writer: RGB to planes, waiting for ffmpeg
  double card_s = 0.0;         // writer: what the card took for the frames that came from it
  double wait_card_s = 0.0;    // writer: waiting for the card
  double wall_s = 0.0;
  std::string frame_hashes;  // 16 bytes a frame: XXH3-128 of the planes handed to the encoder
  std::uint64_t bytes_written = 0;

 private:
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  Error error_;
  std::string failure_class_;
};

}  // namespace kiln::lane
