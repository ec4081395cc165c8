// Buffered bytes of a descriptor, read with a running checksum, ended by a CancelSignal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/media/cancel_signal.h"

namespace kiln::lane::nut {

class ByteSource {
 public:
  // Both borrowed; `cancel` may be null.
  ByteSource(int fd, const CancelSignal* cancel);

  // False at the end of the stream. kCancelled after cancel().
  [[nodiscard]] Result<bool> has_more();
  // All of `bytes`, or kDataLoss where the stream ends first. Counts towards checksum().
  [[nodiscard]] Status read(std::span<std::byte> bytes);
  // The same for the bulk of a frame, which no checksum covers.
  [[nodiscard]] Status read_payload(std::span<std::byte> bytes);
  [[nodiscard]] Result<std::uint8_t> byte();
  [[nodiscard]] Result<std::uint64_t> number();  // "v", at most 63 bits
  [[nodiscard]] Result<std::uint64_t> big_endian(int byte_count);

  void reset_checksum(std::uint32_t start = 0) { checksum_ = start; }
  [[nodiscard]] std::uint32_t checksum() const { return checksum_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }

 private:
  [[nodiscard]] Result<std::size_t> read_some(std::span<std::byte> bytes);

  int fd_;
  const CancelSignal* cancel_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t position_ = 0;
  std::uint32_t checksum_ = 0;
};

}  // namespace kiln::lane::nut
