// Encodes one segment to a file of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/encoder_settings.h"

namespace kiln::lane {

struct SegmentSummary {
  std::int64_t frame_count = 0;
  std::uint64_t file_bytes = 0;
};

// Owns one ffmpeg child. One thread at a time; ffmpeg dies with the thread that called open() and with
// the object. Without finish() the file is incomplete: write to a temporary name and rename.
class SegmentWriter {
 public:
  // `tools`, `settings`, `cancel` (may be null) and `cpu_s` (as FfmpegOptions have it) are borrowed and outlive the writer.
  [[nodiscard]] static Result<SegmentWriter> open(const MediaTools& tools, const EncoderSettings& settings,
                                                  const std::string& path, const CancelSignal* cancel = nullptr,
                                                  double* cpu_s = nullptr);
  SegmentWriter(SegmentWriter&&) noexcept;
  SegmentWriter& operator=(SegmentWriter&&) noexcept;
  ~SegmentWriter();

  // `pts` in ticks of settings.time_base, rising; `planes` exactly one frame of the request's format.
  // Blocks while the encoder is behind. Disk full: exit code 74.
  [[nodiscard]] Status write(std::int64_t pts, std::span<const std::byte> planes);
  // The same, but the encoder may read the planes where they lie, with no copy between: they stay as they are until the next
  // frame was written or lent, or finish() has returned, or the writer is gone. Small frames are copied.
  [[nodiscard]] Status lend(std::int64_t pts, std::span<const std::byte> planes);
  // Waits for the encoder and checks that the file holds every frame at its time.
  [[nodiscard]] Result<SegmentSummary> finish();

 private:
  struct State;
  [[nodiscard]] Status put(std::int64_t pts, std::span<const std::byte> planes, bool lend);
  explicit SegmentWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kiln::lane
