#include "lane/media/nut/byte_source.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lane/media/nut/nut_format.h"

namespace kiln::lane::nut {
namespace {

constexpr std::size_t kBufferBytes = 64UL << 10U;
constexpr std::uint64_t kNumberMaxBeforeShift = (1ULL << 56U) - 1;

Error ends_early(std::uint64_t position) {
  return make_error(ErrorCode::kDataLoss, "the NUT stream ends in the middle of something, at byte {}",
                    position);
}

}  // namespace

ByteSource::ByteSource(int fd, const CancelSignal* cancel)
    : fd_(fd), cancel_(cancel), buffer_(kBufferBytes) {}

Result<std::size_t> ByteSource::read_some(std::span<std::byte> bytes) {
  while (true) {
    std::array<pollfd, 2> polls{{{fd_, POLLIN, 0}, {cancel_ != nullptr ? cancel_->fd() : -1, POLLIN, 0}}};
    if (::poll(polls.data(), polls.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error(errno, "waiting for frames"));
    }
    if (polls[1].revents != 0) return fail(make_error(ErrorCode::kCancelled, "cancelled while reading frames"));
    const ssize_t count = ::read(fd_, bytes.data(), bytes.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR && errno != EAGAIN) return fail(errno_error(errno, "reading frames"));
  }
}

Result<bool> ByteSource::has_more() {
  if (begin_ < end_) return true;
  KILN_TRY_ASSIGN(end_, read_some(buffer_));
  begin_ = 0;
  return end_ > 0;
}

Status ByteSource::read_payload(std::span<std::byte> bytes) {
  const std::size_t buffered = std::min(bytes.size(), end_ - begin_);
  if (buffered > 0) std::memcpy(bytes.data(), buffer_.data() + begin_, buffered);
  begin_ += buffered;
  position_ += buffered;
  bytes = bytes.subspan(buffered);
  while (!bytes.empty()) {
    if (bytes.size() < kBufferBytes) {  // small rests by way of the buffer: fewer system calls
      KILN_TRY_ASSIGN(const bool more, has_more());
      if (!more) return fail(ends_early(position_));
      return read_payload(bytes);
    }
    KILN_TRY_ASSIGN(const std::size_t count, read_some(bytes));
    if (count == 0) return fail(ends_early(position_));
    position_ += count;
    bytes = bytes.subspan(count);
  }
  return {};
}

Status ByteSource::read(std::span<std::byte> bytes) {
  KILN_TRY(read_payload(bytes));
  checksum_ = crc32(checksum_, bytes);
  return {};
}

Result<std::uint8_t> ByteSource::byte() {
  std::byte value{};
  KILN_TRY(read(std::span(&value, 1)));
  return std::to_integer<std::uint8_t>(value);
}

Result<std::uint64_t> ByteSource::number() {
  std::uint64_t value = 0;
  while (true) {
    KILN_TRY_ASSIGN(const std::uint8_t next, byte());
    if (value > kNumberMaxBeforeShift) {
      return fail(make_error(ErrorCode::kDataLoss, "not a NUT number at byte {}", position_));
    }
    value = (value << 7U) | (next & 0x7FU);
    if ((next & 0x80U) == 0) return value;
  }
}

Result<std::uint64_t> ByteSource::big_endian(int byte_count) {
  std::uint64_t value = 0;
  for (int i = 0; i < byte_count; ++i) {
    KILN_TRY_ASSIGN(const std::uint8_t next, byte());
    value = (value << 8U) | next;
  }
  return value;
}

}  // namespace kiln::lane::nut
