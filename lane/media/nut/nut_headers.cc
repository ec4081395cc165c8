#include "lane/media/nut/nut_headers.h"

#include <limits>

#include "lane/media/nut/byte_parser.h"

namespace kiln::lane::nut {
namespace {

constexpr std::uint64_t kTimeBasePartMax = std::numeric_limits<std::int32_t>::max();
constexpr std::uint64_t kSizeMultiplierMax = 16384;
constexpr std::uint64_t kPtsLowBitsMax = 15;
constexpr std::uint64_t kDecodeDelayMax = 1000;
constexpr std::size_t kFourccBytesMax = 8;
constexpr std::uint64_t kSideDataItemsMax = 64;

Error bad_header(const char* what) {
  return make_error(ErrorCode::kDataLoss, "the NUT stream's {} is damaged", what);
}

// One run of frame codes: fields that are absent keep the value of the run before.
struct FrameCodeRun {
  FrameCode code;
  std::uint64_t count = 0;
};

void parse_run(ByteParser& parser, FrameCodeRun& run) {
  FrameCode& code = run.code;
  code.flags = parser.number();
  const std::uint64_t fields = parser.number();
  if (fields > kReservedFieldsMax) parser.refuse();
  if (fields > 0) code.pts_delta = parser.signed_number();
  if (fields > 1) code.size_multiplier = parser.number();
  if (fields > 2) code.stream_id = parser.number();
  code.size_low = fields > 3 ? parser.number() : 0;
  code.reserved_count = fields > 4 ? parser.number() : 0;
  if (code.size_multiplier == 0 || code.size_multiplier > kSizeMultiplierMax ||
      code.size_low > kSizeMultiplierMax || code.reserved_count > kReservedFieldsMax) {
    parser.refuse();
    return;
  }
  run.count = code.size_multiplier > code.size_low ? code.size_multiplier - code.size_low : 0;
  if (fields > 5) run.count = parser.number();
  if (fields > 6) parser.signed_number();  // match time: for seeking
  if (fields > 7) code.header_index = parser.number();
  for (std::uint64_t i = 8; i < fields; ++i) parser.number();
}

void parse_frame_codes(ByteParser& parser, MainHeader& header) {
  FrameCodeRun run;
  std::size_t at = 0;
  while (at < kFrameCodeCount && parser.ok()) {
    parse_run(parser, run);
    const std::size_t room = kFrameCodeCount - at - (at <= kStartcodeByte ? 1 : 0);
    if (run.count == 0 || run.count > room) parser.refuse();
    for (std::uint64_t i = 0; i < run.count && parser.ok(); ++at) {
      if (at == kStartcodeByte) continue;
      header.frame_codes[at] = run.code;
      header.frame_codes[at].size_low += i++;
    }
    if (at == kStartcodeByte) ++at;
  }
}

void parse_elision_headers(ByteParser& parser, MainHeader& header) {
  header.elision_headers.emplace_back();
  if (parser.left() == 0) return;
  const std::uint64_t count = parser.number();
  if (count >= kElisionHeadersMax) parser.refuse();
  for (std::uint64_t i = 0; i < count && parser.ok(); ++i) {
    const auto bytes = parser.counted_bytes(kElisionHeaderBytesMax);
    header.elision_headers.emplace_back(bytes.begin(), bytes.end());
  }
}

// floor(ticks * from / to) without overflow for times within 2^62.
std::optional<std::int64_t> rescale_down(std::uint64_t ticks, Rational from, Rational to) {
  __extension__ using Wide = unsigned __int128;
  const auto scaled_by = static_cast<std::uint64_t>(from.num) * static_cast<std::uint64_t>(to.den);
  const auto divided_by = static_cast<std::uint64_t>(from.den) * static_cast<std::uint64_t>(to.num);
  const Wide value = static_cast<Wide>(ticks) * scaled_by / divided_by;
  if (value > static_cast<Wide>(std::numeric_limits<std::int64_t>::max() / 2)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

void skip_side_data_value(ByteParser& parser, std::size_t left_max) {
  const std::int64_t type = parser.signed_number();
  if (type == -1) {
    parser.counted_bytes(left_max);
  } else if (type == -2) {
    parser.counted_bytes(left_max);
    parser.counted_bytes(left_max);
  } else if (type < -2) {
    parser.number();  // a signed number, a time, a fraction's numerator: one number each
  }
}

}  // namespace

Result<MainHeader> parse_main_header(std::span<const std::byte> body) {
  ByteParser parser(body);
  MainHeader header;
  header.version = parser.number();
  if (!parser.ok() || header.version < kVersionMin || header.version > kVersionMax) {
    return fail(make_error(ErrorCode::kUnimplemented, "the NUT stream is of version {}: 2 to 4 are known",
                           header.version));
  }
  if (header.version > 3) parser.number();  // minor version
  const std::uint64_t stream_count = parser.number();
  if (parser.ok() && stream_count != 1) {
    return fail(make_error(ErrorCode::kUnimplemented, "the NUT stream holds {} streams: one is expected",
                           stream_count));
  }
  parser.number();  // the most bytes between two syncpoints: for seeking
  const std::uint64_t time_base_count = parser.number();
  if (time_base_count == 0 || time_base_count > kTimeBasesMax) parser.refuse();
  for (std::uint64_t i = 0; i < time_base_count && parser.ok(); ++i) {
    const std::uint64_t num = parser.number();
    const std::uint64_t den = parser.number();
    if (num == 0 || den == 0 || num > kTimeBasePartMax || den > kTimeBasePartMax) parser.refuse();
    header.time_bases.push_back({static_cast<std::int64_t>(num), static_cast<std::int64_t>(den)});
  }
  parse_frame_codes(parser, header);
  parse_elision_headers(parser, header);
  if (header.version > 3 && parser.left() > 0) header.flags = parser.number();
  if (!parser.ok()) return fail(bad_header("main header"));
  return header;
}

Result<StreamHeader> parse_stream_header(std::span<const std::byte> body, const MainHeader& main) {
  ByteParser parser(body);
  StreamHeader header;
  const std::uint64_t id = parser.number();
  const std::uint64_t stream_class = parser.number();
  if (parser.ok() && (id != 0 || stream_class != kStreamClassVideo)) {
    return fail(make_error(ErrorCode::kUnimplemented, "the NUT stream holds no video where one was expected"));
  }
  NutStream& stream = header.stream;
  for (const std::byte byte : parser.counted_bytes(kFourccBytesMax)) {
    stream.fourcc.push_back(static_cast<char>(byte));
  }
  header.time_base_id = parser.number();
  header.pts_low_bits = parser.number();
  parser.number();  // the largest step of time without a checksum
  const std::uint64_t decode_delay = parser.number();
  parser.number();  // flags: a fixed frame rate or not
  const auto extradata = parser.counted_bytes(kExtradataBytesMax);
  stream.extradata.assign(extradata.begin(), extradata.end());
  const std::uint64_t width = parser.number();
  const std::uint64_t height = parser.number();
  const std::uint64_t sample_width = parser.number();
  const std::uint64_t sample_height = parser.number();
  if (header.time_base_id >= main.time_bases.size() || header.pts_low_bits > kPtsLowBitsMax ||
      decode_delay > kDecodeDelayMax || width == 0 || height == 0 || width > kPictureSideMax ||
      height > kPictureSideMax || sample_width > kTimeBasePartMax || sample_height > kTimeBasePartMax) {
    parser.refuse();
  }
  if (!parser.ok()) return fail(bad_header("stream header"));
  stream.time_base = main.time_bases[header.time_base_id];
  stream.decode_delay = static_cast<int>(decode_delay);
  stream.width = static_cast<int>(width);
  stream.height = static_cast<int>(height);
  stream.sample_width = static_cast<int>(sample_width);
  stream.sample_height = static_cast<int>(sample_height);
  return header;
}

Result<std::int64_t> parse_syncpoint(std::span<const std::byte> body, const MainHeader& main,
                                     Rational time_base) {
  ByteParser parser(body);
  const std::uint64_t coded = parser.number();
  parser.number();  // where the syncpoint before lies: for seeking
  if (!parser.ok()) return fail(bad_header("syncpoint"));
  const std::uint64_t count = main.time_bases.size();
  const auto ticks = rescale_down(coded / count, main.time_bases[coded % count], time_base);
  if (!ticks) return fail(bad_header("syncpoint"));
  return *ticks;
}

Result<std::size_t> side_data_bytes(std::span<const std::byte> payload) {
  ByteParser parser(payload);
  for (int part = 0; part < 2; ++part) {  // side data, then metadata
    const std::uint64_t count = parser.number();
    if (count > kSideDataItemsMax) parser.refuse();
    for (std::uint64_t i = 0; i < count && parser.ok(); ++i) {
      parser.counted_bytes(payload.size());  // name
      skip_side_data_value(parser, payload.size());
    }
  }
  if (!parser.ok()) return fail(bad_header("side data"));
  return parser.position();
}

}  // namespace kiln::lane::nut
