// Reads NUT from a descriptor (a pipe of ffmpeg's, or a file). Any bytes are read or refused: every length
// is bounded before anything is allocated.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "lane/media/cancel_signal.h"
#include "lane/media/nut/nut_stream.h"

namespace kiln::lane {

class NutReader {
 public:
  // `fd` and `cancel` (may be null) are borrowed. No packet may be larger than `packet_bytes_max`.
  NutReader(int fd, std::uint64_t packet_bytes_max, const CancelSignal* cancel);
  NutReader(NutReader&&) noexcept;
  NutReader& operator=(NutReader&&) noexcept;
  ~NutReader();

  // Headers, up to the first packet. Exactly one video stream; others are refused. kCancelled after cancel().
  [[nodiscard]] Result<NutStream> read_header();
  // Fills `packet`, reusing its buffer; false at the end of the stream. A stream that ends inside a packet
  // is kDataLoss.
  [[nodiscard]] Result<bool> read_packet(NutPacket& packet);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiln::lane
