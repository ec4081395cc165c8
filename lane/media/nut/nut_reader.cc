#include "lane/media/nut/nut_reader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "lane/media/nut/byte_source.h"
#include "lane/media/nut/nut_headers.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kHeaderBytesMax = (1ULL << 20U) + 4096;   // main, stream, syncpoint
constexpr std::uint64_t kSkippedBytesMax = 256ULL << 20U;         // metadata, index
constexpr std::size_t kPayloadStepBytes = 4UL << 20U;             // allocated ahead of what has arrived
constexpr std::size_t kSkipStepBytes = 32UL << 10U;
constexpr std::int64_t kPtsMax = std::numeric_limits<std::int64_t>::max() / 4;

struct FrameHeader {
  std::uint64_t flags = 0;
  std::int64_t pts = 0;
  std::uint64_t bytes = 0;  // that follow
  const std::vector<std::byte>* elided = nullptr;  // bytes that belong before them
};

}  // namespace

struct NutReader::State {
  State(int fd, std::uint64_t max, const CancelSignal* cancel) : source(fd, cancel), packet_bytes_max(max) {}

  nut::ByteSource source;
  std::uint64_t packet_bytes_max;
  nut::MainHeader main;
  nut::StreamHeader stream;
  std::int64_t last_pts = 0;

  [[nodiscard]] Error damaged(const char* what) const {
    return make_error(ErrorCode::kDataLoss, "the NUT stream is damaged near byte {}: {}", source.position(),
                      what);
  }

  Result<std::uint64_t> read_packet_size(std::uint64_t startcode);
  Result<std::vector<std::byte>> read_body(std::uint64_t startcode);
  Status skip_body(std::uint64_t startcode);
  Status read_id();
  Result<bool> read_up_to_frame(std::uint8_t& frame_code);
  Status handle_packet(std::uint64_t startcode);
  Result<FrameHeader> read_frame_header(std::uint8_t frame_code);
  Result<std::uint64_t> read_size(const nut::FrameCode& code, std::uint64_t flags);
  Result<std::int64_t> read_pts(const nut::FrameCode& code, std::uint64_t flags);
  Status elide(FrameHeader& header, std::uint64_t index);
  Status read_payload(const FrameHeader& header, std::vector<std::byte>& bytes);
};

// Bytes of the body without its checksum. The header's own checksum, where it has one, is verified.
Result<std::uint64_t> NutReader::State::read_packet_size(std::uint64_t startcode) {
  std::array<std::byte, 8> code{};
  for (std::size_t i = 0; i < code.size(); ++i) code[i] = static_cast<std::byte>(startcode >> (56 - 8 * i));
  source.reset_checksum(nut::crc32(0, code));
  KILN_TRY_ASSIGN(const std::uint64_t size, source.number());
  if (size > nut::kPlainPacketBytesMax) {
    const std::uint32_t crc = source.checksum();
    KILN_TRY_ASSIGN(const std::uint64_t wanted, source.big_endian(4));
    if (wanted != crc) return fail(damaged("the checksum of a header does not match"));
  }
  if (size < nut::kChecksumBytes) return fail(damaged("a header has no room for its checksum"));
  source.reset_checksum();
  return size - nut::kChecksumBytes;
}

Result<std::vector<std::byte>> NutReader::State::read_body(std::uint64_t startcode) {
  KILN_TRY_ASSIGN(const std::uint64_t size, read_packet_size(startcode));
  if (size > kHeaderBytesMax) return fail(damaged("a header is too large"));
  std::vector<std::byte> body(size);
  KILN_TRY(source.read(body));
  const std::uint32_t crc = source.checksum();
  KILN_TRY_ASSIGN(const std::uint64_t wanted, source.big_endian(4));
  if (wanted != crc) return fail(damaged("the checksum of a header does not match"));
  return body;
}

Status NutReader::State::skip_body(std::uint64_t startcode) {
  KILN_TRY_ASSIGN(std::uint64_t left, read_packet_size(startcode));
  if (left > kSkippedBytesMax) return fail(damaged("a header is too large"));
  std::vector<std::byte> bytes(std::min<std::uint64_t>(left, kSkipStepBytes));
  while (left > 0) {
    const std::size_t step = std::min<std::uint64_t>(left, bytes.size());
    KILN_TRY(source.read(std::span(bytes).first(step)));
    left -= step;
  }
  const std::uint32_t crc = source.checksum();
  KILN_TRY_ASSIGN(const std::uint64_t wanted, source.big_endian(4));
  if (wanted != crc) return fail(damaged("the checksum of a header does not match"));
  return {};
}

Status NutReader::State::read_id() {
  std::array<std::byte, nut::kFileId.size()> id{};
  KILN_TRY(source.read(id));
  if (!std::equal(id.begin(), id.end(), std::as_bytes(std::span(nut::kFileId)).begin())) {
    return fail(damaged("it does not begin as NUT does"));
  }
  return {};
}

Status NutReader::State::handle_packet(std::uint64_t startcode) {
  switch (startcode) {
    case nut::kMainStartcode:    // repeated
    case nut::kStreamStartcode:  // repeated
    case nut::kInfoStartcode:
    case nut::kIndexStartcode:
      return skip_body(startcode);
    case nut::kSyncpointStartcode: {
      KILN_TRY_ASSIGN(const auto body, read_body(startcode));
      KILN_TRY_ASSIGN(last_pts, nut::parse_syncpoint(body, main, stream.stream.time_base));
      return {};
    }
    default:
      return fail(damaged("unknown packet"));
  }
}

// False at the end of the stream.
Result<bool> NutReader::State::read_up_to_frame(std::uint8_t& frame_code) {
  while (true) {
    KILN_TRY_ASSIGN(const bool more, source.has_more());
    if (!more) return false;
    source.reset_checksum();
    KILN_TRY_ASSIGN(frame_code, source.byte());
    if (frame_code != nut::kStartcodeByte) return true;
    KILN_TRY_ASSIGN(const std::uint64_t rest, source.big_endian(7));
    KILN_TRY(handle_packet((static_cast<std::uint64_t>(nut::kStartcodeByte) << 56U) | rest));
  }
}

Result<std::int64_t> NutReader::State::read_pts(const nut::FrameCode& code, std::uint64_t flags) {
  std::int64_t pts = last_pts + code.pts_delta;
  if (code.pts_delta > kPtsMax || code.pts_delta < -kPtsMax) return fail(damaged("impossible time"));
  if ((flags & nut::kFlagCodedPts) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t coded, source.number());
    const auto value = static_cast<std::int64_t>(coded);
    const std::int64_t span = std::int64_t{1} << stream.pts_low_bits;
    if (value >= span) {
      pts = value - span;
    } else {  // the low bits of a time near the last one
      const std::int64_t mask = span - 1;
      const std::int64_t delta = last_pts - mask / 2;
      pts = ((value - delta) & mask) + delta;
    }
  }
  if (pts > kPtsMax || pts < -kPtsMax) return fail(damaged("impossible time"));
  return pts;
}

Result<std::uint64_t> NutReader::State::read_size(const nut::FrameCode& code, std::uint64_t flags) {
  std::uint64_t size = code.size_low;
  if ((flags & nut::kFlagSizeMsb) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t high, source.number());
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(high, code.size_multiplier, &product) ||
        __builtin_add_overflow(size, product, &size)) {
      return fail(damaged("impossible size of a frame"));
    }
  }
  if (size > packet_bytes_max) {
    return fail(make_error(ErrorCode::kDataLoss, "the NUT stream holds a frame of {} bytes; at most {} can be",
                           size, packet_bytes_max));
  }
  return size;
}

Status NutReader::State::elide(FrameHeader& header, std::uint64_t index) {
  if (header.bytes > nut::kElisionFrameBytesMax) return {};
  if (index >= main.elision_headers.size()) return fail(damaged("unknown elided header"));
  header.elided = &main.elision_headers[index];
  if (header.elided->size() > header.bytes) return fail(damaged("a frame is smaller than its header"));
  header.bytes -= header.elided->size();
  return {};
}

Result<FrameHeader> NutReader::State::read_frame_header(std::uint8_t frame_code) {
  const nut::FrameCode& code = main.frame_codes[frame_code];
  FrameHeader header;
  std::uint64_t flags = code.flags;
  if ((flags & nut::kFlagInvalid) != 0) return fail(damaged("invalid frame code"));
  if ((flags & nut::kFlagCoded) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t coded, source.number());
    flags ^= coded;
  }
  std::uint64_t stream_id = code.stream_id;
  if ((flags & nut::kFlagStreamId) != 0) {
    KILN_TRY_ASSIGN(stream_id, source.number());
  }
  if (stream_id != 0) return fail(damaged("a frame of an unknown stream"));
  KILN_TRY_ASSIGN(header.pts, read_pts(code, flags));
  KILN_TRY_ASSIGN(header.bytes, read_size(code, flags));
  if ((flags & nut::kFlagMatchTime) != 0) KILN_TRY(source.number());
  std::uint64_t header_index = code.header_index;
  if ((flags & nut::kFlagHeaderIndex) != 0) {
    KILN_TRY_ASSIGN(header_index, source.number());
  }
  std::uint64_t reserved_count = code.reserved_count;
  if ((flags & nut::kFlagReserved) != 0) {
    KILN_TRY_ASSIGN(reserved_count, source.number());
  }
  if (reserved_count > nut::kReservedFieldsMax) return fail(damaged("too many reserved fields"));
  for (std::uint64_t i = 0; i < reserved_count; ++i) KILN_TRY(source.number());
  if ((flags & nut::kFlagChecksum) != 0) {
    const std::uint32_t crc = source.checksum();
    KILN_TRY_ASSIGN(const std::uint64_t wanted, source.big_endian(4));
    if (wanted != crc) return fail(damaged("the checksum of a frame's header does not match"));
  }
  header.flags = flags;
  KILN_TRY(elide(header, header_index));
  return header;
}

// Grows with what arrives, so that a size that lies allocates little.
Status NutReader::State::read_payload(const FrameHeader& header, std::vector<std::byte>& bytes) {
  std::size_t at = header.elided != nullptr ? header.elided->size() : 0;
  const std::size_t total = at + header.bytes;
  bytes.resize(std::min(total, std::max(at + kPayloadStepBytes, bytes.capacity())));
  if (at > 0) std::copy(header.elided->begin(), header.elided->end(), bytes.begin());
  while (true) {
    KILN_TRY(source.read_payload(std::span(bytes).subspan(at)));
    at = bytes.size();
    if (at == total) break;
    bytes.resize(std::min(total, 2 * at));
  }
  if ((header.flags & nut::kFlagSideData) != 0) {
    KILN_TRY_ASSIGN(const std::size_t side, nut::side_data_bytes(bytes));
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(side));
  }
  return {};
}

NutReader::NutReader(int fd, std::uint64_t packet_bytes_max, const CancelSignal* cancel)
    : state_(std::make_unique<State>(fd, packet_bytes_max, cancel)) {}
NutReader::NutReader(NutReader&&) noexcept = default;
NutReader& NutReader::operator=(NutReader&&) noexcept = default;
NutReader::~NutReader() = default;

Result<NutStream> NutReader::read_header() {
  State& state = *state_;
  KILN_TRY(state.read_id());
  KILN_TRY_ASSIGN(std::uint64_t startcode, state.source.big_endian(8));
  if (startcode != nut::kMainStartcode) return fail(state.damaged("the main header is missing"));
  KILN_TRY_ASSIGN(const auto main_body, state.read_body(startcode));
  KILN_TRY_ASSIGN(state.main, nut::parse_main_header(main_body));
  KILN_TRY_ASSIGN(startcode, state.source.big_endian(8));
  if (startcode != nut::kStreamStartcode) return fail(state.damaged("the stream header is missing"));
  KILN_TRY_ASSIGN(const auto stream_body, state.read_body(startcode));
  KILN_TRY_ASSIGN(state.stream, nut::parse_stream_header(stream_body, state.main));
  return state.stream.stream;
}

Result<bool> NutReader::read_packet(NutPacket& packet) {
  State& state = *state_;
  while (true) {
    std::uint8_t frame_code = 0;
    KILN_TRY_ASSIGN(const bool more, state.read_up_to_frame(frame_code));
    if (!more) return false;
    KILN_TRY_ASSIGN(const FrameHeader header, state.read_frame_header(frame_code));
    KILN_TRY(state.read_payload(header, packet.bytes));
    state.last_pts = header.pts;
    if ((header.flags & nut::kFlagEndOfRelevance) != 0 && packet.bytes.empty()) continue;
    packet.pts = header.pts;
    packet.keyframe = (header.flags & nut::kFlagKey) != 0;
    return true;
  }
}

}  // namespace kiln::lane
