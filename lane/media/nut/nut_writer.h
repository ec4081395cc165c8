// Writes NUT with one video stream to a descriptor: raw frames to an encoder, packets to a join.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/nut/nut_stream.h"

namespace kiln::lane {

class NutWriter {
 public:
  // `fd` and `cancel` (may be null) are borrowed; a pipe is set non-blocking. Writing to a reader that is gone
  // is kUnavailable.
  NutWriter(int fd, const CancelSignal* cancel);
  NutWriter(NutWriter&&) noexcept;
  NutWriter& operator=(NutWriter&&) noexcept;
  ~NutWriter();

  [[nodiscard]] Status write_header(const NutStream& stream);
  // In decoding order; the format has no negative times. Blocks while the reader is behind, until cancel().
  [[nodiscard]] Status write_packet(std::int64_t pts, bool keyframe, std::span<const std::byte> bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiln::lane
