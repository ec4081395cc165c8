// Where a demuxer takes its bytes from: a pipe, a file, a test's array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At least one byte, or 0 at the end.
  [[nodiscard]] virtual Result<std::size_t> read_some(std::span<std::byte> bytes) = 0;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : rest_(bytes) {}
  [[nodiscard]] Result<std::size_t> read_some(std::span<std::byte> bytes) override;

 private:
  std::span<const std::byte> rest_;
};

// Reads ahead for small fields; large payloads go past the buffer. Keeps a running NUT checksum.
class BufferedSource {
 public:
  explicit BufferedSource(ByteSource& source);  // borrowed

  [[nodiscard]] Result<bool> at_end();
  [[nodiscard]] Result<std::uint8_t> read_byte();
  [[nodiscard]] Status read_exactly(std::span<std::byte> bytes);
  [[nodiscard]] Status skip(std::uint64_t count);

  void start_checksum() { crc_ = 0; }
  [[nodiscard]] std::uint32_t running_checksum() const { return crc_; }
  [[nodiscard]] std::uint64_t position() const { return position_; }  // bytes consumed

 private:
  [[nodiscard]] Result<bool> refill();  // false at the end

  ByteSource& source_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t position_ = 0;
  std::uint32_t crc_ = 0;
};

}  // namespace kiln::lane
