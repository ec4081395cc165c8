// Reads a NUT stream: what ffmpeg's pipes carry. Takes any bytes; every length is bounded before it is used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/byte_source.h"
#include "lane/media/rational.h"

namespace kiln::lane {

struct NutStream {
  std::uint64_t stream_class = 0;  // 0: video
  std::string fourcc;
  Rational time_base;
  std::uint64_t width = 0;
  std::uint64_t height = 0;
  std::vector<std::byte> extradata;
};

struct NutFrame {
  std::size_t stream = 0;
  std::int64_t pts = 0;  // ticks of the stream's time base
  bool keyframe = false;
  std::vector<std::byte> bytes;
};

struct NutLimits {
  std::uint64_t frame_bytes = 1ULL << 30U;
};

// One pass over one source, no seeking. After an error it is not to be used again.
class NutDemuxer {
 public:
  NutDemuxer(ByteSource& source, NutLimits limits);  // source is borrowed

  // Up to the first frame or the end.
  [[nodiscard]] Status read_headers();
  [[nodiscard]] const std::vector<NutStream>& streams() const { return streams_; }
  // Fills `frame`, reusing its buffer; false at the end of the stream.
  [[nodiscard]] Result<bool> next(NutFrame& frame);

 private:
  struct FrameCode {
    std::uint64_t flags = 0;
    std::uint64_t stream = 0;
    std::uint64_t size_mul = 0;
    std::uint64_t size_lsb = 0;
    std::int64_t pts_delta = 0;
    std::uint64_t reserved_count = 0;
    std::uint64_t header_index = 0;
  };
  struct StreamState {
    std::size_t time_base = 0;
    std::uint64_t msb_pts_shift = 0;
    std::int64_t last_pts = 0;
  };
  struct FrameHead {
    FrameCode code;
    std::int64_t pts = 0;
    std::uint64_t size = 0;
  };
  class Fields;  // a packet's payload, read front to back

  [[nodiscard]] Result<std::uint64_t> read_varint();
  [[nodiscard]] Result<std::uint64_t> read_startcode(std::uint8_t first);
  [[nodiscard]] Status read_packet(std::uint64_t startcode);
  [[nodiscard]] Result<std::vector<std::byte>> read_payload();
  [[nodiscard]] Status parse_main(Fields fields);
  [[nodiscard]] Status parse_frame_code_row(Fields& fields, FrameCode& code, std::uint64_t& run);
  [[nodiscard]] Status parse_frame_codes(Fields& fields);
  [[nodiscard]] Status parse_elision_headers(Fields& fields);
  [[nodiscard]] Status parse_stream(Fields fields);
  [[nodiscard]] Status parse_syncpoint(Fields fields);
  [[nodiscard]] Result<std::int64_t> read_pts(const FrameCode& code, const StreamState& state);
  [[nodiscard]] Status read_extras(FrameCode& code);
  [[nodiscard]] Result<FrameHead> read_frame_head(std::uint8_t first);
  [[nodiscard]] Status read_frame(std::uint8_t first, NutFrame& frame);
  [[nodiscard]] Result<bool> read_until_frame(std::uint8_t& first);

  BufferedSource source_;
  NutLimits limits_;
  bool have_main_ = false;
  bool first_byte_pending_ = false;
  std::uint8_t first_byte_ = 0;
  std::uint64_t stream_count_ = 0;
  std::vector<Rational> time_bases_;
  std::array<FrameCode, 256> codes_{};
  std::vector<std::vector<std::byte>> elision_headers_;
  std::vector<NutStream> streams_;
  std::vector<StreamState> states_;
};

}  // namespace kiln::lane
