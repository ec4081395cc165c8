#include "lane/media/nut_demuxer.h"

#include <algorithm>

#include "lane/media/nut_fields.h"
#include "lane/media/nut_format.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kMaxElidedFrameBytes = 4096;

}  // namespace

NutDemuxer::NutDemuxer(ByteSource& source, NutLimits limits) : source_(source), limits_(limits) {}

Result<std::uint64_t> NutDemuxer::read_varint() {
  std::uint64_t value = 0;
  while (true) {
    KILN_TRY_ASSIGN(const std::uint8_t byte, source_.read_byte());
    if (value >> 57U != 0) return nut::corrupt("a number is too long");
    value = (value << 7U) | (byte & 0x7FU);
    if (byte < 0x80U) return value;
  }
}

Result<std::uint64_t> NutDemuxer::read_startcode(std::uint8_t first) {
  std::uint64_t code = first;
  for (int i = 0; i < 7; ++i) {
    KILN_TRY_ASSIGN(const std::uint8_t byte, source_.read_byte());
    code = (code << 8U) | byte;
  }
  return code;
}

// The payload of the packet whose start code was just read, its checksums verified.
Result<std::vector<std::byte>> NutDemuxer::read_payload() {
  KILN_TRY_ASSIGN(const std::uint64_t length, read_varint());
  if (length < 4 || length > nut::kMaxHeaderBytes) return nut::corrupt("a header of {} bytes", length);
  std::array<std::byte, 4> sum{};
  if (length > nut::kLongPacketBytes) {
    KILN_TRY(source_.read_exactly(sum));
    if (source_.running_checksum() != 0) return nut::corrupt("a header's checksum is wrong");
  }
  std::vector<std::byte> payload(static_cast<std::size_t>(length));
  KILN_TRY(source_.read_exactly(payload));
  // The sum over bytes and their checksum is zero.
  if (nut::checksum(0, payload) != 0) return nut::corrupt("a packet's checksum is wrong");
  payload.resize(payload.size() - sum.size());
  return payload;
}

Status NutDemuxer::read_packet(std::uint64_t startcode) {
  if (startcode == nut::kIndexStart || startcode == nut::kInfoStart) {
    KILN_TRY_ASSIGN(const std::uint64_t length, read_varint());
    const std::uint64_t extra = length > nut::kLongPacketBytes ? 4 : 0;
    KILN_TRY(source_.skip(extra));
    return source_.skip(length);
  }
  if (startcode != nut::kMainStart && startcode != nut::kStreamStart &&
      startcode != nut::kSyncpointStart) {
    return nut::corrupt("unknown start code {:016x} before byte {}", startcode, source_.position());
  }
  KILN_TRY_ASSIGN(const std::vector<std::byte> payload, read_payload());
  if (startcode == nut::kMainStart) return have_main_ ? Status() : parse_main(Fields(payload));
  if (!have_main_) return nut::corrupt("no main header");
  if (startcode == nut::kStreamStart) return parse_stream(Fields(payload));
  return parse_syncpoint(Fields(payload));
}

Result<std::int64_t> NutDemuxer::read_pts(const FrameCode& code, const StreamState& state) {
  std::int64_t pts = 0;
  if ((code.flags & nut::kFlagCodedPts) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t coded, read_varint());
    const std::uint64_t span = 1ULL << state.msb_pts_shift;
    if (coded >= span) {
      if (coded - span > static_cast<std::uint64_t>(nut::kMaxPts)) return nut::corrupt("a time out of range");
      pts = static_cast<std::int64_t>(coded - span);
    } else {
      const auto base = static_cast<std::uint64_t>(state.last_pts) - (span - 1) / 2;
      pts = static_cast<std::int64_t>(((coded - base) & (span - 1)) + base);
    }
  } else {
    if (code.pts_delta > nut::kMaxPts || code.pts_delta < -nut::kMaxPts) return nut::corrupt("a time out of range");
    pts = state.last_pts + code.pts_delta;
  }
  if (pts > nut::kMaxPts || pts < -nut::kMaxPts) return nut::corrupt("a time out of range");
  return pts;
}

Result<NutDemuxer::FrameHead> NutDemuxer::read_frame_head(std::uint8_t first) {
  FrameHead head{codes_[first], 0, 0};
  FrameCode& code = head.code;
  if ((code.flags & nut::kFlagCoded) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t coded, read_varint());
    code.flags ^= coded;
  }
  if ((code.flags & (nut::kFlagInvalid | nut::kFlagSideData)) != 0) return nut::corrupt("frame code {}", first);
  if ((code.flags & nut::kFlagStreamId) != 0) {
    KILN_TRY_ASSIGN(code.stream, read_varint());
  }
  if (code.stream >= stream_count_) return nut::corrupt("frame of stream {}", code.stream);
  StreamState& state = states_[static_cast<std::size_t>(code.stream)];
  KILN_TRY_ASSIGN(head.pts, read_pts(code, state));
  std::uint64_t msb = 0;
  if ((code.flags & nut::kFlagSizeMsb) != 0) {
    KILN_TRY_ASSIGN(msb, read_varint());
  }
  if (msb > limits_.frame_bytes) return nut::corrupt("a frame beyond {} bytes", limits_.frame_bytes);
  head.size = msb * code.size_mul + code.size_lsb;  // both factors bounded: no overflow
  KILN_TRY(read_extras(code));
  if (head.size > limits_.frame_bytes) {
    return nut::corrupt("a frame of {} bytes where at most {} were expected", head.size, limits_.frame_bytes);
  }
  state.last_pts = head.pts;
  return head;
}

// What may follow the size: only which start is elided matters here.
Status NutDemuxer::read_extras(FrameCode& code) {
  if ((code.flags & nut::kFlagMatchTime) != 0) KILN_TRY(read_varint());
  if ((code.flags & nut::kFlagHeaderIndex) != 0) {
    KILN_TRY_ASSIGN(code.header_index, read_varint());
  }
  if ((code.flags & nut::kFlagReserved) != 0) {
    KILN_TRY_ASSIGN(code.reserved_count, read_varint());
  }
  if (code.reserved_count > nut::kMaxReservedFields) {
    return nut::corrupt("{} reserved fields", code.reserved_count);
  }
  for (std::uint64_t i = 0; i < code.reserved_count; ++i) KILN_TRY(read_varint());
  return {};
}

Status NutDemuxer::read_frame(std::uint8_t first, NutFrame& frame) {
  KILN_TRY_ASSIGN(const FrameHead head, read_frame_head(first));
  if ((head.code.flags & nut::kFlagChecksum) != 0) {
    std::array<std::byte, 4> sum{};
    KILN_TRY(source_.read_exactly(sum));
    if (source_.running_checksum() != 0) return nut::corrupt("a frame's checksum is wrong");
  }
  // Long frames never elide their start.
  const std::uint64_t index = head.size > kMaxElidedFrameBytes ? 0 : head.code.header_index;
  if (index >= elision_headers_.size()) return nut::corrupt("elision header {} is not there", index);
  const auto& elided = elision_headers_[static_cast<std::size_t>(index)];
  if (elided.size() > head.size) return nut::corrupt("a frame is shorter than its elided start");
  frame.stream = static_cast<std::size_t>(head.code.stream);
  frame.pts = head.pts;
  frame.keyframe = (head.code.flags & nut::kFlagKey) != 0;
  frame.bytes.resize(static_cast<std::size_t>(head.size));
  std::copy(elided.begin(), elided.end(), frame.bytes.begin());
  return source_.read_exactly(std::span(frame.bytes).subspan(elided.size()));
}

// Handles packets up to the next frame, whose first byte it returns; false at the end.
Result<bool> NutDemuxer::read_until_frame(std::uint8_t& first) {
  while (true) {
    KILN_TRY_ASSIGN(const bool ended, source_.at_end());
    if (ended) return false;
    source_.start_checksum();
    KILN_TRY_ASSIGN(first, source_.read_byte());
    if (first != 'N') return true;
    KILN_TRY_ASSIGN(const std::uint64_t startcode, read_startcode(first));
    KILN_TRY(read_packet(startcode));
  }
}

Status NutDemuxer::read_headers() {
  std::array<std::byte, nut::kFileId.size()> id{};
  KILN_TRY(source_.read_exactly(id));
  const auto same = [](std::byte a, char b) { return static_cast<char>(a) == b; };
  if (!std::equal(id.begin(), id.end(), nut::kFileId.begin(), same)) return nut::corrupt("no NUT signature");
  KILN_TRY_ASSIGN(first_byte_pending_, read_until_frame(first_byte_));
  if (!have_main_) return nut::corrupt("no main header");
  return {};
}

Result<bool> NutDemuxer::next(NutFrame& frame) {
  if (!first_byte_pending_) {
    KILN_TRY_ASSIGN(const bool more, read_until_frame(first_byte_));
    if (!more) return false;
  }
  first_byte_pending_ = false;
  if (!have_main_) return nut::corrupt("no main header");
  KILN_TRY(read_frame(first_byte_, frame));
  return true;
}

}  // namespace kiln::lane
