#include "lane/media/nut_demuxer.h"

#include <algorithm>

#include "lane/media/nut_format.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kMaxStreams = 64;
constexpr std::uint64_t kMaxTimeBases = 256;
constexpr std::uint64_t kMaxHeaderBytes = 1ULL << 24U;
constexpr std::uint64_t kMaxTimeBasePart = 1ULL << 31U;
constexpr std::uint64_t kMaxReservedFields = 256;
constexpr std::uint64_t kMaxSide = 1ULL << 20U;  // pixels across or down
constexpr std::uint64_t kMaxPtsShift = 32;
constexpr std::int64_t kMaxPts = 1LL << 60U;
constexpr std::uint64_t kMaxElisionBytes = 256;
constexpr std::uint64_t kMaxElidedFrameBytes = 4096;

template <typename... Args>
tl::unexpected<Error> corrupt(fmt::format_string<Args...> format, Args&&... args) {
  return fail(make_error(ErrorCode::kDataLoss, "not a valid NUT stream: {}",
                         fmt::format(format, std::forward<Args>(args)...)));
}

std::int64_t to_signed(std::uint64_t coded) {
  const std::uint64_t shifted = coded + 1;
  const auto half = static_cast<std::int64_t>(shifted >> 1U);
  return (shifted & 1U) != 0 ? -half : half;
}

}  // namespace

class NutDemuxer::Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : rest_(bytes) {}

  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < rest_.size() && i < 10; ++i) {
      const auto byte = std::to_integer<std::uint64_t>(rest_[i]);
      if (value >> 57U != 0) break;
      value = (value << 7U) | (byte & 0x7FU);
      if (byte < 0x80U) {
        rest_ = rest_.subspan(i + 1);
        return value;
      }
    }
    return corrupt("a number is cut short or too long");
  }
  Result<std::int64_t> signed_varint() {
    KILN_TRY_ASSIGN(const std::uint64_t coded, varint());
    return to_signed(coded);
  }
  Result<std::vector<std::byte>> bytes() {
    KILN_TRY_ASSIGN(const std::uint64_t count, varint());
    if (count > rest_.size()) return corrupt("a field is longer than its packet");
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return std::vector<std::byte>(taken.begin(), taken.end());
  }

 private:
  std::span<const std::byte> rest_;
};

NutDemuxer::NutDemuxer(ByteSource& source, NutLimits limits) : source_(source), limits_(limits) {}

Result<std::uint64_t> NutDemuxer::read_varint() {
  std::uint64_t value = 0;
  while (true) {
    KILN_TRY_ASSIGN(const std::uint8_t byte, source_.read_byte());
    if (value >> 57U != 0) return corrupt("a number is too long");
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
  if (length < 4 || length > kMaxHeaderBytes) return corrupt("a header of {} bytes", length);
  std::array<std::byte, 4> sum{};
  if (length > nut::kLongPacketBytes) {
    KILN_TRY(source_.read_exactly(sum));
    if (source_.running_checksum() != 0) return corrupt("a header's checksum is wrong");
  }
  std::vector<std::byte> payload(static_cast<std::size_t>(length));
  KILN_TRY(source_.read_exactly(payload));
  // The sum over bytes and their checksum is zero.
  if (nut::checksum(0, payload) != 0) return corrupt("a packet's checksum is wrong");
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
    return corrupt("unknown start code {:016x} before byte {}", startcode, source_.position());
  }
  KILN_TRY_ASSIGN(const std::vector<std::byte> payload, read_payload());
  if (startcode == nut::kMainStart) return have_main_ ? Status() : parse_main(Fields(payload));
  if (!have_main_) return corrupt("no main header");
  if (startcode == nut::kStreamStart) return parse_stream(Fields(payload));
  return parse_syncpoint(Fields(payload));
}

Status NutDemuxer::parse_main(Fields fields) {
  KILN_TRY_ASSIGN(const std::uint64_t version, fields.varint());
  if (version != nut::kVersion) return corrupt("version {} instead of {}", version, nut::kVersion);
  KILN_TRY_ASSIGN(stream_count_, fields.varint());
  if (stream_count_ == 0 || stream_count_ > kMaxStreams) return corrupt("{} streams", stream_count_);
  KILN_TRY(fields.varint());  // max_distance: only for error recovery, which a pipe does not need
  KILN_TRY_ASSIGN(const std::uint64_t count, fields.varint());
  if (count == 0 || count > kMaxTimeBases) return corrupt("{} time bases", count);
  for (std::uint64_t i = 0; i < count; ++i) {
    KILN_TRY_ASSIGN(const std::uint64_t num, fields.varint());
    KILN_TRY_ASSIGN(const std::uint64_t den, fields.varint());
    if (num == 0 || den == 0 || num >= kMaxTimeBasePart || den >= kMaxTimeBasePart) {
      return corrupt("time base {}/{}", num, den);
    }
    time_bases_.push_back({static_cast<std::int64_t>(num), static_cast<std::int64_t>(den)});
  }
  KILN_TRY(parse_frame_codes(fields));
  KILN_TRY(parse_elision_headers(fields));
  streams_.resize(static_cast<std::size_t>(stream_count_));
  states_.resize(streams_.size());
  have_main_ = true;
  return {};
}

Status NutDemuxer::parse_frame_codes(Fields& fields) {
  FrameCode code;
  code.size_mul = 1;
  for (std::size_t i = 0; i < codes_.size();) {
    KILN_TRY_ASSIGN(code.flags, fields.varint());
    KILN_TRY_ASSIGN(const std::uint64_t field_count, fields.varint());
    if (field_count > kMaxReservedFields) return corrupt("frame code with {} fields", field_count);
    std::uint64_t size_lsb = 0;
    std::uint64_t run = 0;
    code.reserved_count = 0;
    if (field_count > 0) {
      KILN_TRY_ASSIGN(code.pts_delta, fields.signed_varint());
    }
    if (field_count > 1) {
      KILN_TRY_ASSIGN(code.size_mul, fields.varint());
    }
    if (field_count > 2) {
      KILN_TRY_ASSIGN(code.stream, fields.varint());
    }
    if (field_count > 3) {
      KILN_TRY_ASSIGN(size_lsb, fields.varint());
    }
    if (field_count > 4) {
      KILN_TRY_ASSIGN(code.reserved_count, fields.varint());
    }
    if (field_count > 5) {
      KILN_TRY_ASSIGN(run, fields.varint());
    } else {
      if (size_lsb > code.size_mul) return corrupt("frame code without a run");
      run = code.size_mul - size_lsb;
    }
    if (field_count > 6) KILN_TRY(fields.signed_varint());  // match time
    if (field_count > 7) {
      KILN_TRY_ASSIGN(code.header_index, fields.varint());
    }
    for (std::uint64_t j = 8; j < field_count; ++j) KILN_TRY(fields.varint());
    if (run == 0 || run > codes_.size() || size_lsb > kMaxHeaderBytes || code.size_mul > kMaxHeaderBytes) {
      return corrupt("frame code table out of bounds");
    }
    for (std::uint64_t j = 0; j < run && i < codes_.size(); ++i) {
      codes_[i] = code;
      if (i == 'N') {  // starts a start code instead
        codes_[i].flags = nut::kFlagInvalid;
        continue;
      }
      codes_[i].size_lsb = size_lsb + j++;
    }
  }
  return {};
}

Status NutDemuxer::parse_elision_headers(Fields& fields) {
  KILN_TRY_ASSIGN(const std::uint64_t count, fields.varint());
  if (count > 127) return corrupt("{} elision headers", count);
  elision_headers_.emplace_back();  // index 0: nothing is elided
  for (std::uint64_t i = 0; i < count; ++i) {
    KILN_TRY_ASSIGN(std::vector<std::byte> header, fields.bytes());
    if (header.empty() || header.size() > kMaxElisionBytes) return corrupt("elision header too long");
    elision_headers_.push_back(std::move(header));
  }
  return {};
}

Status NutDemuxer::parse_stream(Fields fields) {
  KILN_TRY_ASSIGN(const std::uint64_t id, fields.varint());
  if (id >= stream_count_) return corrupt("stream {} of {}", id, stream_count_);
  NutStream& stream = streams_[static_cast<std::size_t>(id)];
  StreamState& state = states_[static_cast<std::size_t>(id)];
  KILN_TRY_ASSIGN(stream.stream_class, fields.varint());
  KILN_TRY_ASSIGN(const std::vector<std::byte> fourcc, fields.bytes());
  if (fourcc.size() > 4) return corrupt("codec tag of {} bytes", fourcc.size());
  stream.fourcc.assign(reinterpret_cast<const char*>(fourcc.data()), fourcc.size());
  KILN_TRY_ASSIGN(const std::uint64_t time_base, fields.varint());
  if (time_base >= time_bases_.size()) return corrupt("time base {} is not there", time_base);
  state.time_base = static_cast<std::size_t>(time_base);
  stream.time_base = time_bases_[state.time_base];
  KILN_TRY_ASSIGN(state.msb_pts_shift, fields.varint());
  if (state.msb_pts_shift > kMaxPtsShift) return corrupt("pts shift {}", state.msb_pts_shift);
  KILN_TRY(fields.varint());  // max_pts_distance
  KILN_TRY(fields.varint());  // decode_delay
  KILN_TRY(fields.varint());  // stream flags
  KILN_TRY_ASSIGN(stream.extradata, fields.bytes());
  if (stream.stream_class != 0) return {};
  KILN_TRY_ASSIGN(stream.width, fields.varint());
  KILN_TRY_ASSIGN(stream.height, fields.varint());
  if (stream.width == 0 || stream.height == 0 || stream.width > kMaxSide || stream.height > kMaxSide) {
    return corrupt("picture of {}x{}", stream.width, stream.height);
  }
  return {};
}

Status NutDemuxer::parse_syncpoint(Fields fields) {
  KILN_TRY_ASSIGN(const std::uint64_t coded, fields.varint());
  const std::uint64_t count = time_bases_.size();
  const Rational from = time_bases_[static_cast<std::size_t>(coded % count)];
  const auto ticks = static_cast<std::int64_t>(coded / count);
  if (ticks > kMaxPts) return corrupt("a time of {} ticks", ticks);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const Rational to = time_bases_[states_[i].time_base];
    // Rounded down, as the format says; rescale() rounds to nearest.
    auto nearest = rescale(ticks, from, to);
    if (!nearest) return corrupt("a time out of range");
    const auto back = rescale(*nearest, to, from);
    if (back && *back > ticks) --*nearest;
    states_[i].last_pts = *nearest;
  }
  return {};
}

Result<NutDemuxer::FrameHead> NutDemuxer::read_frame_head(std::uint8_t first) {
  FrameHead head{codes_[first], 0, 0};
  FrameCode& code = head.code;
  if ((code.flags & nut::kFlagCoded) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t coded, read_varint());
    code.flags ^= coded;
  }
  if ((code.flags & (nut::kFlagInvalid | nut::kFlagSideData)) != 0) return corrupt("frame code {}", first);
  if ((code.flags & nut::kFlagStreamId) != 0) {
    KILN_TRY_ASSIGN(code.stream, read_varint());
  }
  if (code.stream >= stream_count_) return corrupt("frame of stream {}", code.stream);
  StreamState& state = states_[static_cast<std::size_t>(code.stream)];
  if ((code.flags & nut::kFlagCodedPts) != 0) {
    KILN_TRY_ASSIGN(const std::uint64_t coded, read_varint());
    const std::uint64_t span = 1ULL << state.msb_pts_shift;
    if (coded >= span) {
      if (coded - span > static_cast<std::uint64_t>(kMaxPts)) return corrupt("a time out of range");
      head.pts = static_cast<std::int64_t>(coded - span);
    } else {
      const auto base = static_cast<std::uint64_t>(state.last_pts) - (span - 1) / 2;
      head.pts = static_cast<std::int64_t>(((coded - base) & (span - 1)) + base);
    }
  } else {
    if (code.pts_delta > kMaxPts || code.pts_delta < -kMaxPts) return corrupt("a time out of range");
    head.pts = state.last_pts + code.pts_delta;
  }
  if (head.pts > kMaxPts || head.pts < -kMaxPts) return corrupt("a time out of range");
  std::uint64_t msb = 0;
  if ((code.flags & nut::kFlagSizeMsb) != 0) {
    KILN_TRY_ASSIGN(msb, read_varint());
  }
  if (msb > limits_.frame_bytes) return corrupt("a frame beyond {} bytes", limits_.frame_bytes);
  head.size = msb * code.size_mul + code.size_lsb;  // both factors bounded: no overflow
  if ((code.flags & nut::kFlagMatchTime) != 0) KILN_TRY(read_varint());
  if ((code.flags & nut::kFlagHeaderIndex) != 0) {
    KILN_TRY_ASSIGN(code.header_index, read_varint());
  }
  if ((code.flags & nut::kFlagReserved) != 0) {
    KILN_TRY_ASSIGN(code.reserved_count, read_varint());
  }
  if (code.reserved_count > kMaxReservedFields) return corrupt("{} reserved fields", code.reserved_count);
  for (std::uint64_t i = 0; i < code.reserved_count; ++i) KILN_TRY(read_varint());
  if (head.size > limits_.frame_bytes) {
    return corrupt("a frame of {} bytes where at most {} were expected", head.size, limits_.frame_bytes);
  }
  state.last_pts = head.pts;
  return head;
}

Status NutDemuxer::read_frame(std::uint8_t first, NutFrame& frame) {
  KILN_TRY_ASSIGN(const FrameHead head, read_frame_head(first));
  if ((head.code.flags & nut::kFlagChecksum) != 0) {
    std::array<std::byte, 4> sum{};
    KILN_TRY(source_.read_exactly(sum));
    if (source_.running_checksum() != 0) return corrupt("a frame's checksum is wrong");
  }
  // Long frames never elide their start.
  const std::uint64_t index = head.size > kMaxElidedFrameBytes ? 0 : head.code.header_index;
  if (index >= elision_headers_.size()) return corrupt("elision header {} is not there", index);
  const auto& elided = elision_headers_[static_cast<std::size_t>(index)];
  if (elided.size() > head.size) return corrupt("a frame is shorter than its elided start");
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
  if (!std::equal(id.begin(), id.end(), nut::kFileId.begin(), same)) return corrupt("no NUT signature");
  KILN_TRY_ASSIGN(first_byte_pending_, read_until_frame(first_byte_));
  if (!have_main_) return corrupt("no main header");
  return {};
}

Result<bool> NutDemuxer::next(NutFrame& frame) {
  if (!first_byte_pending_) {
    KILN_TRY_ASSIGN(const bool more, read_until_frame(first_byte_));
    if (!more) return false;
  }
  first_byte_pending_ = false;
  if (!have_main_) return corrupt("no main header");
  KILN_TRY(read_frame(first_byte_, frame));
  return true;
}

}  // namespace kiln::lane
