// Decodes an exact range of a clip's frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/clip_info.h"

namespace kiln::lane {

struct RawFrame {
  std::int64_t index = -1;  // in the clip
  std::int64_t pts = 0;     // ticks of the clip's time base
  std::vector<std::byte> bytes;
};

struct FrameRange {
  std::int64_t first = 0;
  std::int64_t end = 0;  // one past the last
};

struct FrameReaderOptions {
  int decoder_threads = 1;
  const CancelSignal* cancel = nullptr;  // borrowed; may be null
  double* cpu_s = nullptr;               // as FfmpegOptions have it
};

// Owns one ffmpeg child and holds at most one frame. One thread at a time; ffmpeg dies with the thread
// that called open() (and with the object), so open it in the thread that reads.
class FrameReader {
 public:
  // `tools` and `clip` are borrowed and outlive the reader.
  [[nodiscard]] static Result<FrameReader> open(const MediaTools& tools, const ClipInfo& clip,
                                                FrameRange range, const FrameReaderOptions& options = {});
  FrameReader(FrameReader&&) noexcept;
  FrameReader& operator=(FrameReader&&) noexcept;
  ~FrameReader();

  // Fills `frame` with the next one, reusing its buffer; false after the last. Every frame of the range
  // comes once, in order, with the index's timestamp, or the error says which is missing. kCancelled
  // after cancel().
  [[nodiscard]] Result<bool> read(RawFrame& frame);

 private:
  struct State;
  explicit FrameReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kiln::lane
