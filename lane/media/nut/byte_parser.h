// Reads NUT's number forms from bytes in memory. Never beyond the end: once something is missing or too
// large every later value is 0 and ok() is false.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kiln::lane::nut {

class ByteParser {
 public:
  explicit ByteParser(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  [[nodiscard]] std::size_t position() const { return at_; }

  std::uint8_t byte();
  std::uint64_t number();        // "v": 7 bits a byte, at most 63 bits in all
  std::int64_t signed_number();  // "s"
  std::span<const std::byte> counted_bytes(std::size_t max);  // "vb"
  void refuse() { ok_ = false; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// "s" of the "v" that carries it.
[[nodiscard]] std::int64_t signed_from_number(std::uint64_t number);

}  // namespace kiln::lane::nut
