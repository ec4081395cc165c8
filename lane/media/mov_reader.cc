#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "lane/media/mov_track.h"

namespace kiln::lane {
namespace {

using Span = std::span<const std::byte>;

constexpr std::uint64_t kMaxMoovBytes = 1ULL << 28U;
constexpr std::uint64_t kMaxSamples = 1ULL << 24U;
constexpr int kMaxTopBoxes = 4096;

constexpr std::uint32_t tag(const char (&name)[5]) {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(name[0])) << 24U |
         static_cast<std::uint32_t>(static_cast<unsigned char>(name[1])) << 16U |
         static_cast<std::uint32_t>(static_cast<unsigned char>(name[2])) << 8U |
         static_cast<std::uint32_t>(static_cast<unsigned char>(name[3]));
}

tl::unexpected<Error> corrupt(std::string_view what) {
  return fail(make_error(ErrorCode::kDataLoss, "the segment's sample table is damaged: {}", what));
}

// Big-endian number of `bytes` bytes at `at`; 0 beyond the end (callers check sizes first).
std::uint64_t number(Span box, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes && at + i < box.size(); ++i) {
    value = (value << 8U) | std::to_integer<std::uint64_t>(box[at + i]);
  }
  return value;
}

struct Box {
  std::uint32_t type = 0;
  Span whole;
  Span payload;
};

// The box at the front of `rest`, which is moved past it; nullopt at the end or where bytes make none.
std::optional<Box> next_box(Span& rest) {
  if (rest.size() < 8) return std::nullopt;
  std::uint64_t size = number(rest, 0, 4);
  std::size_t head = 8;
  if (size == 1 && rest.size() >= 16) {
    size = number(rest, 8, 8);
    head = 16;
  }
  if (size < head || size > rest.size()) return std::nullopt;
  const Span whole = rest.first(static_cast<std::size_t>(size));
  const Box box{static_cast<std::uint32_t>(number(rest, 4, 4)), whole, whole.subspan(head)};
  rest = rest.subspan(whole.size());
  return box;
}

std::optional<Box> find_box(Span boxes, std::uint32_t type) {
  while (const auto box = next_box(boxes)) {
    if (box->type == type) return box;
  }
  return std::nullopt;
}

// A table of `entry_bytes` wide rows behind version, flags and a count.
struct Table {
  Span rows;
  std::uint64_t count = 0;
  std::size_t entry_bytes = 1;
  [[nodiscard]] std::uint64_t at(std::uint64_t row, std::size_t byte, std::size_t bytes) const {
    return number(rows, static_cast<std::size_t>(row) * entry_bytes + byte, bytes);
  }
};

Result<Table> table_of(Span stbl, std::uint32_t type, std::size_t head, std::size_t entry_bytes) {
  const auto box = find_box(stbl, type);
  if (!box) return Table{};
  if (box->payload.size() < head) return corrupt("a table without head");
  Table table{box->payload.subspan(head), number(box->payload, head - 4, 4), entry_bytes};
  if (table.count > table.rows.size() / entry_bytes) return corrupt("a table longer than its box");
  return table;
}

Status read_sizes(Span stbl, std::vector<MovSample>& samples) {
  const auto box = find_box(stbl, tag("stsz"));
  if (!box || box->payload.size() < 12) return corrupt("no sample sizes");
  const std::uint64_t same = number(box->payload, 4, 4);
  const std::uint64_t count = number(box->payload, 8, 4);
  if (count > kMaxSamples) return corrupt("too many samples");
  if (same == 0 && count > (box->payload.size() - 12) / 4) return corrupt("sizes longer than their box");
  samples.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].size = static_cast<std::uint32_t>(same != 0 ? same : number(box->payload, 12 + 4 * i, 4));
    samples[i].sync = true;
  }
  return {};
}

Status read_times(Span stbl, std::vector<MovSample>& samples) {
  KILN_TRY_ASSIGN(const Table durations, table_of(stbl, tag("stts"), 8, 8));
  std::size_t at = 0;
  std::int64_t dts = 0;
  for (std::uint64_t row = 0; row < durations.count; ++row) {
    const std::uint64_t run = durations.at(row, 0, 4);
    const auto delta = static_cast<std::int64_t>(durations.at(row, 4, 4));
    for (std::uint64_t i = 0; i < run && at < samples.size(); ++i, ++at) {
      samples[at].dts = dts;
      samples[at].pts = dts;
      dts += delta;
    }
  }
  if (at != samples.size()) return corrupt("not every sample has a time");
  KILN_TRY_ASSIGN(const Table offsets, table_of(stbl, tag("ctts"), 8, 8));
  at = 0;
  for (std::uint64_t row = 0; row < offsets.count; ++row) {
    const std::uint64_t run = offsets.at(row, 0, 4);
    const auto offset = static_cast<std::int32_t>(offsets.at(row, 4, 4));  // signed in practice
    for (std::uint64_t i = 0; i < run && at < samples.size(); ++i, ++at) samples[at].pts += offset;
  }
  return {};
}

Status read_sync(Span stbl, std::vector<MovSample>& samples) {
  if (!find_box(stbl, tag("stss"))) return {};  // without the table every sample is one
  KILN_TRY_ASSIGN(const Table sync, table_of(stbl, tag("stss"), 8, 4));
  for (auto& sample : samples) sample.sync = false;
  for (std::uint64_t row = 0; row < sync.count; ++row) {
    const std::uint64_t index = sync.at(row, 0, 4);
    if (index == 0 || index > samples.size()) return corrupt("a key frame beyond the end");
    samples[static_cast<std::size_t>(index) - 1].sync = true;
  }
  return {};
}

Status read_offsets(Span stbl, std::uint64_t file_bytes, std::vector<MovSample>& samples) {
  KILN_TRY_ASSIGN(Table chunks, table_of(stbl, tag("stco"), 8, 4));
  if (chunks.count == 0) {
    KILN_TRY_ASSIGN(chunks, table_of(stbl, tag("co64"), 8, 8));
  }
  KILN_TRY_ASSIGN(const Table runs, table_of(stbl, tag("stsc"), 8, 12));
  std::size_t at = 0;
  for (std::uint64_t row = 0; row < runs.count; ++row) {
    const std::uint64_t first = runs.at(row, 0, 4);
    const std::uint64_t end = row + 1 < runs.count ? runs.at(row + 1, 0, 4) : chunks.count + 1;
    const std::uint64_t per_chunk = runs.at(row, 4, 4);
    if (first == 0 || end > chunks.count + 1) return corrupt("chunks beyond the end");
    for (std::uint64_t chunk = first; chunk < end; ++chunk) {
      std::uint64_t offset = chunks.at(chunk - 1, 0, chunks.entry_bytes);
      for (std::uint64_t i = 0; i < per_chunk && at < samples.size(); ++i, ++at) {
        if (offset > file_bytes || samples[at].size > file_bytes - offset) {
          return corrupt("a sample beyond the end of the file");
        }
        samples[at].offset = offset;
        offset += samples[at].size;
      }
    }
  }
  return at == samples.size() ? Status() : corrupt("not every sample has a place");
}

Result<MovTrack> parse_track(Span mdia, std::uint64_t file_bytes) {
  MovTrack track;
  const auto mdhd = find_box(mdia, tag("mdhd"));
  if (!mdhd || mdhd->payload.size() < 24) return corrupt("no track header");
  const std::size_t at = number(mdhd->payload, 0, 1) == 1 ? 20 : 12;
  track.timescale = static_cast<std::uint32_t>(number(mdhd->payload, at, 4));
  if (track.timescale == 0) return corrupt("timescale 0");
  const auto minf = find_box(mdia, tag("minf"));
  const auto stbl = minf ? find_box(minf->payload, tag("stbl")) : std::nullopt;
  const auto stsd = stbl ? find_box(stbl->payload, tag("stsd")) : std::nullopt;
  if (!stsd) return corrupt("no sample table");
  track.sample_description.assign(stsd->whole.begin(), stsd->whole.end());
  KILN_TRY(read_sizes(stbl->payload, track.samples));
  KILN_TRY(read_times(stbl->payload, track.samples));
  KILN_TRY(read_sync(stbl->payload, track.samples));
  KILN_TRY(read_offsets(stbl->payload, file_bytes, track.samples));
  return track;
}

Status read_at(int fd, std::uint64_t offset, std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(fd, bytes.data() + done, bytes.size() - done,
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "read a segment"));
    if (n == 0) return corrupt("the file is cut short");
    done += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

Result<MovTrack> parse_moov(Span moov, std::uint64_t file_bytes) {
  while (const auto trak = next_box(moov)) {
    if (trak->type != tag("trak")) continue;
    const auto mdia = find_box(trak->payload, tag("mdia"));
    const auto hdlr = mdia ? find_box(mdia->payload, tag("hdlr")) : std::nullopt;
    if (!hdlr || hdlr->payload.size() < 12 || number(hdlr->payload, 8, 4) != tag("vide")) continue;
    return parse_track(mdia->payload, file_bytes);
  }
  return corrupt("no video track");
}

Result<MovTrack> read_mov_track(int fd) {
  const off_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return fail(errno_error(errno, "seek in a segment"));
  const auto file_bytes = static_cast<std::uint64_t>(end);
  std::uint64_t offset = 0;
  for (int boxes = 0; boxes < kMaxTopBoxes && offset + 16 <= file_bytes; ++boxes) {
    std::array<std::byte, 16> head{};
    KILN_TRY(read_at(fd, offset, head));
    std::uint64_t size = number(head, 0, 4);
    const std::uint64_t head_bytes = size == 1 ? 16 : 8;
    if (size == 1) size = number(head, 8, 8);
    if (size < head_bytes || size > file_bytes - offset) break;
    if (number(head, 4, 4) == tag("moov")) {
      if (size > kMaxMoovBytes) return corrupt("the table is too large");
      std::vector<std::byte> moov(static_cast<std::size_t>(size - head_bytes));
      KILN_TRY(read_at(fd, offset + head_bytes, moov));
      return parse_moov(moov, file_bytes);
    }
    offset += size;
  }
  return corrupt("there is none; the segment was not finished");
}

}  // namespace kiln::lane
