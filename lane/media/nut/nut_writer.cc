#include "lane/media/nut/nut_writer.h"

#include <string_view>
#include <utility>
#include <vector>

#include "lane/media/nut/byte_sink.h"
#include "lane/media/nut/nut_format.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kVersion = 3;
constexpr std::uint64_t kSyncpointDistanceMax = 65536;  // what readers accept at most
constexpr std::uint64_t kPtsLowBits = 7;
constexpr std::uint64_t kMaxPtsStep = 1;  // every frame has a checksum, so that any step is allowed
constexpr std::int64_t kPtsMax = std::int64_t{1} << 60;

class ByteBuilder {
 public:
  void byte(std::uint64_t value) { bytes_.push_back(static_cast<std::byte>(value & 0xFFU)); }
  void number(std::uint64_t value) {
    int shift = 63;
    while (shift > 0 && (value >> static_cast<unsigned>(shift)) == 0) shift -= 7;
    for (; shift > 0; shift -= 7) byte(0x80U | (value >> static_cast<unsigned>(shift)));
    byte(value & 0x7FU);
  }
  void counted_bytes(std::span<const std::byte> value) {
    number(value.size());
    append(value);
  }
  void append(std::span<const std::byte> value) {
    for (const std::byte next : value) bytes_.push_back(next);
  }
  void big_endian(std::uint64_t value, int byte_count) {
    for (int i = byte_count - 1; i >= 0; --i) byte(value >> (8U * static_cast<unsigned>(i)));
  }
  void clear() { bytes_.clear(); }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// startcode, size, checksum of these two where the packet is long, body, checksum of the body.
void append_packet(ByteBuilder& out, std::uint64_t startcode, std::span<const std::byte> body) {
  ByteBuilder head;
  head.big_endian(startcode, 8);
  const std::uint64_t size = body.size() + nut::kChecksumBytes;
  head.number(size);
  out.append(head.bytes());
  if (size > nut::kPlainPacketBytesMax) out.big_endian(nut::crc32(0, head.bytes()), 4);
  out.append(body);
  out.big_endian(nut::crc32(0, body), 4);
}

ByteBuilder main_header(const NutStream& stream) {
  ByteBuilder body;
  body.number(kVersion);
  body.number(1);  // streams
  body.number(kSyncpointDistanceMax);
  body.number(1);  // time bases
  body.number(static_cast<std::uint64_t>(stream.time_base.num));
  body.number(static_cast<std::uint64_t>(stream.time_base.den));
  // All frame codes mean the same: "the flags follow".
  body.number(nut::kFlagCoded);
  body.number(6);    // fields
  body.number(0);    // step of time
  body.number(1);    // size multiplier
  body.number(0);    // stream
  body.number(0);    // size
  body.number(0);    // reserved fields
  body.number(nut::kFrameCodeCount - 1);  // codes: all but the one that begins startcodes
  body.number(0);    // elided headers
  return body;
}

ByteBuilder stream_header(const NutStream& stream) {
  ByteBuilder body;
  body.number(0);  // id
  body.number(nut::kStreamClassVideo);
  body.counted_bytes(std::as_bytes(std::span(stream.fourcc)));
  body.number(0);  // time base
  body.number(kPtsLowBits);
  body.number(kMaxPtsStep);
  body.number(static_cast<std::uint64_t>(stream.decode_delay));
  body.number(0);  // no fixed frame rate
  body.counted_bytes(stream.extradata);
  body.number(static_cast<std::uint64_t>(stream.width));
  body.number(static_cast<std::uint64_t>(stream.height));
  body.number(static_cast<std::uint64_t>(stream.sample_width));
  body.number(static_cast<std::uint64_t>(stream.sample_height));
  body.number(0);  // colours: not said here
  return body;
}

}  // namespace

struct NutWriter::State {
  State(int fd, const CancelSignal* cancel) : sink(fd, cancel) {}
  nut::ByteSink sink;
  ByteBuilder scratch;
};

NutWriter::NutWriter(int fd, const CancelSignal* cancel) : state_(std::make_unique<State>(fd, cancel)) {}
NutWriter::NutWriter(NutWriter&&) noexcept = default;
NutWriter& NutWriter::operator=(NutWriter&&) noexcept = default;
NutWriter::~NutWriter() = default;

Status NutWriter::write_header(const NutStream& stream) {
  ByteBuilder& out = state_->scratch;
  out.clear();
  out.append(std::as_bytes(std::span(nut::kFileId)));
  append_packet(out, nut::kMainStartcode, main_header(stream).bytes());
  append_packet(out, nut::kStreamStartcode, stream_header(stream).bytes());
  return state_->sink.write(out.bytes());
}

Status NutWriter::write_packet(std::int64_t pts, bool keyframe, std::span<const std::byte> bytes) {
  if (pts < 0 || pts > kPtsMax) {
    return fail(make_error(ErrorCode::kOutOfRange, "the time {} cannot be written: NUT holds 0 to {}", pts, kPtsMax));
  }
  // A syncpoint before every frame: frames are large beside its 16 bytes, and none depends on the one before.
  const auto ticks = static_cast<std::uint64_t>(pts);
  ByteBuilder syncpoint;
  syncpoint.number(ticks);  // with one time base its id is 0
  syncpoint.number(0);      // the syncpoint before: unknown, nothing seeks here
  ByteBuilder& out = state_->scratch;
  out.clear();
  append_packet(out, nut::kSyncpointStartcode, syncpoint.bytes());
  ByteBuilder head;
  head.byte(0);  // any frame code
  head.number((keyframe ? nut::kFlagKey : 0) | nut::kFlagCodedPts | nut::kFlagSizeMsb | nut::kFlagChecksum);
  head.number(ticks + (1ULL << kPtsLowBits));
  head.number(bytes.size());
  out.append(head.bytes());
  out.big_endian(nut::crc32(0, head.bytes()), 4);
  KILN_TRY(state_->sink.write(out.bytes()));
  return state_->sink.write(bytes);
}

}  // namespace kiln::lane
