#include "lane/media/byte_source.h"

#include <algorithm>
#include <cstring>

#include "lane/media/nut_format.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;
// Checksums cover headers; a payload this large is never part of one, and summing it would cost time.
constexpr std::size_t kMaxSummedBytes = 64 * 1024;

Error cut_short(std::uint64_t position) {
  return make_error(ErrorCode::kDataLoss, "the stream ends in the middle of a packet, at byte {}", position);
}

}  // namespace

Result<std::size_t> MemorySource::read_some(std::span<std::byte> bytes) {
  const std::size_t n = std::min(bytes.size(), rest_.size());
  std::copy_n(rest_.begin(), n, bytes.begin());
  rest_ = rest_.subspan(n);
  return n;
}

BufferedSource::BufferedSource(ByteSource& source) : source_(source), buffer_(kBufferBytes) {}

Result<bool> BufferedSource::refill() {
  if (begin_ < end_) return true;
  KILN_TRY_ASSIGN(end_, source_.read_some(buffer_));
  begin_ = 0;
  return end_ > 0;
}

Result<bool> BufferedSource::at_end() {
  KILN_TRY_ASSIGN(const bool more, refill());
  return !more;
}

Result<std::uint8_t> BufferedSource::read_byte() {
  KILN_TRY_ASSIGN(const bool more, refill());
  if (!more) return fail(cut_short(position_));
  const std::span<const std::byte> one(buffer_.data() + begin_, 1);
  crc_ = nut::checksum(crc_, one);
  ++begin_;
  ++position_;
  return std::to_integer<std::uint8_t>(one[0]);
}

Status BufferedSource::read_exactly(std::span<std::byte> bytes) {
  std::span<std::byte> left = bytes;
  while (!left.empty()) {
    std::size_t n = std::min(left.size(), end_ - begin_);
    if (n > 0) {
      std::memcpy(left.data(), buffer_.data() + begin_, n);
      begin_ += n;
    } else if (left.size() >= buffer_.size()) {
      KILN_TRY_ASSIGN(n, source_.read_some(left));
      if (n == 0) return fail(cut_short(position_));
    } else {
      KILN_TRY_ASSIGN(const bool more, refill());
      if (!more) return fail(cut_short(position_));
      continue;
    }
    position_ += n;
    left = left.subspan(n);
  }
  if (bytes.size() <= kMaxSummedBytes) crc_ = nut::checksum(crc_, bytes);
  return {};
}

Status BufferedSource::skip(std::uint64_t count) {
  while (count > 0) {
    KILN_TRY_ASSIGN(const bool more, refill());
    if (!more) return fail(cut_short(position_));
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(count, end_ - begin_));
    begin_ += n;
    position_ += n;
    count -= n;
  }
  return {};
}

}  // namespace kiln::lane
