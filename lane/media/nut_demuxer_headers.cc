// What the packets between frames say: streams, their clocks, the table of frame codes.
#include <algorithm>

#include "lane/media/nut_demuxer.h"
#include "lane/media/nut_fields.h"
#include "lane/media/nut_format.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kMaxStreams = 64;
constexpr std::uint64_t kMaxTimeBases = 256;
constexpr std::uint64_t kMaxTimeBasePart = 1ULL << 31U;
constexpr std::uint64_t kMaxSide = 1ULL << 20U;  // pixels across or down
constexpr std::uint64_t kMaxPtsShift = 32;
constexpr std::uint64_t kMaxElisionBytes = 256;

}  // namespace

Status NutDemuxer::parse_main(Fields fields) {
  KILN_TRY_ASSIGN(const std::uint64_t version, fields.varint());
  if (version != nut::kVersion) return nut::corrupt("version {} instead of {}", version, nut::kVersion);
  KILN_TRY_ASSIGN(stream_count_, fields.varint());
  if (stream_count_ == 0 || stream_count_ > kMaxStreams) return nut::corrupt("{} streams", stream_count_);
  KILN_TRY(fields.varint());  // max_distance: only for error recovery, which a pipe does not need
  KILN_TRY_ASSIGN(const std::uint64_t count, fields.varint());
  if (count == 0 || count > kMaxTimeBases) return nut::corrupt("{} time bases", count);
  for (std::uint64_t i = 0; i < count; ++i) {
    KILN_TRY_ASSIGN(const std::uint64_t num, fields.varint());
    KILN_TRY_ASSIGN(const std::uint64_t den, fields.varint());
    if (num == 0 || den == 0 || num >= kMaxTimeBasePart || den >= kMaxTimeBasePart) {
      return nut::corrupt("time base {}/{}", num, den);
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

// One row of the table, which says what `run` codes in a line mean; fields that it lacks stay as in the row before.
Status NutDemuxer::parse_frame_code_row(Fields& fields, FrameCode& code, std::uint64_t& run) {
  KILN_TRY_ASSIGN(code.flags, fields.varint());
  KILN_TRY_ASSIGN(const std::uint64_t field_count, fields.varint());
  if (field_count > nut::kMaxReservedFields) return nut::corrupt("frame code with {} fields", field_count);
  code.size_lsb = 0;
  code.reserved_count = 0;
  if (field_count > 0) {
    KILN_TRY_ASSIGN(code.pts_delta, fields.signed_varint());
  }
  for (const auto& [place, value] : {std::pair(1U, &code.size_mul), std::pair(2U, &code.stream),
                                     std::pair(3U, &code.size_lsb), std::pair(4U, &code.reserved_count),
                                     std::pair(5U, &run)}) {
    if (field_count <= place) break;
    KILN_TRY_ASSIGN(*value, fields.varint());
  }
  if (field_count <= 5) {
    if (code.size_lsb > code.size_mul) return nut::corrupt("frame code without a run");
    run = code.size_mul - code.size_lsb;
  }
  if (field_count > 6) KILN_TRY(fields.signed_varint());  // match time
  if (field_count > 7) {
    KILN_TRY_ASSIGN(code.header_index, fields.varint());
  }
  for (std::uint64_t i = 8; i < field_count; ++i) KILN_TRY(fields.varint());
  return {};
}

Status NutDemuxer::parse_frame_codes(Fields& fields) {
  FrameCode row;
  row.size_mul = 1;
  for (std::size_t i = 0; i < codes_.size();) {
    std::uint64_t run = 0;
    KILN_TRY(parse_frame_code_row(fields, row, run));
    const bool sizes = row.size_lsb <= nut::kMaxHeaderBytes && row.size_mul <= nut::kMaxHeaderBytes;
    if (run == 0 || run > codes_.size() || !sizes) return nut::corrupt("frame code table out of bounds");
    for (std::uint64_t j = 0; j < run && i < codes_.size(); ++i) {
      codes_[i] = row;
      if (i == 'N') {  // starts a start code instead
        codes_[i].flags = nut::kFlagInvalid;
        continue;
      }
      codes_[i].size_lsb = row.size_lsb + j++;
    }
  }
  return {};
}

Status NutDemuxer::parse_elision_headers(Fields& fields) {
  KILN_TRY_ASSIGN(const std::uint64_t count, fields.varint());
  if (count > 127) return nut::corrupt("{} elision headers", count);
  elision_headers_.emplace_back();  // index 0: nothing is elided
  for (std::uint64_t i = 0; i < count; ++i) {
    KILN_TRY_ASSIGN(std::vector<std::byte> header, fields.bytes());
    if (header.empty() || header.size() > kMaxElisionBytes) return nut::corrupt("elision header too long");
    elision_headers_.push_back(std::move(header));
  }
  return {};
}

Status NutDemuxer::parse_stream(Fields fields) {
  KILN_TRY_ASSIGN(const std::uint64_t id, fields.varint());
  if (id >= stream_count_) return nut::corrupt("stream {} of {}", id, stream_count_);
  NutStream& stream = streams_[static_cast<std::size_t>(id)];
  StreamState& state = states_[static_cast<std::size_t>(id)];
  KILN_TRY_ASSIGN(stream.stream_class, fields.varint());
  KILN_TRY_ASSIGN(const std::vector<std::byte> fourcc, fields.bytes());
  if (fourcc.size() > 4) return nut::corrupt("codec tag of {} bytes", fourcc.size());
  stream.fourcc.assign(reinterpret_cast<const char*>(fourcc.data()), fourcc.size());
  KILN_TRY_ASSIGN(const std::uint64_t time_base, fields.varint());
  if (time_base >= time_bases_.size()) return nut::corrupt("time base {} is not there", time_base);
  state.time_base = static_cast<std::size_t>(time_base);
  stream.time_base = time_bases_[state.time_base];
  KILN_TRY_ASSIGN(state.msb_pts_shift, fields.varint());
  if (state.msb_pts_shift > kMaxPtsShift) return nut::corrupt("pts shift {}", state.msb_pts_shift);
  KILN_TRY(fields.varint());  // max_pts_distance
  KILN_TRY(fields.varint());  // decode_delay
  KILN_TRY(fields.varint());  // stream flags
  KILN_TRY_ASSIGN(stream.extradata, fields.bytes());
  if (stream.stream_class != 0) return {};
  KILN_TRY_ASSIGN(stream.width, fields.varint());
  KILN_TRY_ASSIGN(stream.height, fields.varint());
  if (stream.width == 0 || stream.height == 0 || stream.width > kMaxSide || stream.height > kMaxSide) {
    return nut::corrupt("picture of {}x{}", stream.width, stream.height);
  }
  return {};
}

Status NutDemuxer::parse_syncpoint(Fields fields) {
  KILN_TRY_ASSIGN(const std::uint64_t coded, fields.varint());
  const std::uint64_t count = time_bases_.size();
  const Rational from = time_bases_[static_cast<std::size_t>(coded % count)];
  const auto ticks = static_cast<std::int64_t>(coded / count);
  if (ticks > nut::kMaxPts) return nut::corrupt("a time of {} ticks", ticks);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const Rational to = time_bases_[states_[i].time_base];
    // Rounded down, as the format says; rescale() rounds to nearest.
    auto nearest = rescale(ticks, from, to);
    if (!nearest) return nut::corrupt("a time out of range");
    const auto back = rescale(*nearest, to, from);
    if (back && *back > ticks) --*nearest;
    states_[i].last_pts = *nearest;
  }
  return {};
}

}  // namespace kiln::lane
