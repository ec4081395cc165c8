// A strict reader of zip's stored form: end record, central directory, local header. No zip64, no
// comments, no encryption, no compression, no second archive hidden in front or behind.
#include "sharding/package/pt2_archive.h"

#include <array>
#include <optional>

namespace kiln::sharding {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kEntryNameMax = 512;
constexpr std::uint32_t kZip64Mark = 0xffffffffU;
// Flag 3 (sizes follow the data) is what torch's writer may set; it repeats what the directory says.
constexpr std::uint32_t kFlagsAllowed = 0x0008 | 0x0800;
constexpr std::string_view kGraphEntry = "models/model.json";

class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // Little endian; the caller has checked that offset + width <= size().
  [[nodiscard]] std::uint32_t read(std::size_t offset, std::size_t width) const {
    std::uint32_t value = 0;
    for (std::size_t i = width; i-- > 0;) value = (value << 8U) | std::to_integer<std::uint32_t>(bytes_[offset + i]);
    return value;
  }
  [[nodiscard]] bool holds(std::size_t offset, std::size_t length) const {
    return offset <= bytes_.size() && length <= bytes_.size() - offset;
  }
  [[nodiscard]] std::string_view text(std::size_t offset, std::size_t length) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + offset, length};
  }

 private:
  std::span<const std::byte> bytes_;
};

struct Entry {
  std::string_view name;
  std::size_t local_offset = 0;
  std::size_t size = 0;
  std::uint32_t crc32 = 0;
};

Error damaged(std::string_view what) { return input_refused("not a graph archive: {}", what); }

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1U) != 0 ? 0xedb88320U ^ (value >> 1U) : value >> 1U;
    table[i] = value;
  }
  return table;
}

std::uint32_t crc32_of(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU] ^ (crc >> 8U);
  return crc ^ 0xffffffffU;
}

// The entry whose central header is at `offset`; moves `offset` behind it.
Result<Entry> read_central(const Bytes& zip, std::size_t& offset) {
  if (!zip.holds(offset, kCentralBytes) || zip.read(offset, 4) != kCentralSignature) {
    return fail(damaged("its directory is damaged"));
  }
  const std::uint32_t size = zip.read(offset + 24, 4);
  const std::size_t name_bytes = zip.read(offset + 28, 2);
  const std::size_t extra_bytes = zip.read(offset + 30, 2);
  const std::size_t comment_bytes = zip.read(offset + 32, 2);
  if (zip.read(offset + 10, 2) != 0 || zip.read(offset + 20, 4) != size) {
    return fail(damaged("an entry is compressed"));
  }
  if ((zip.read(offset + 8, 2) & ~kFlagsAllowed) != 0) return fail(damaged("an entry has unknown flags"));
  if (size == kZip64Mark || zip.read(offset + 42, 4) == kZip64Mark || comment_bytes != 0) {
    return fail(damaged("an entry is larger than 4 GiB or carries a comment"));
  }
  if (name_bytes > kEntryNameMax || !zip.holds(offset + kCentralBytes, name_bytes + extra_bytes)) {
    return fail(damaged("its directory is damaged"));
  }
  const Entry entry{zip.text(offset + kCentralBytes, name_bytes), zip.read(offset + 42, 4), size,
                    zip.read(offset + 16, 4)};
  offset += kCentralBytes + name_bytes + extra_bytes;
  return entry;
}

Result<std::string_view> read_content(const Bytes& zip, const Entry& entry) {
  const std::size_t local = entry.local_offset;
  if (!zip.holds(local, kLocalBytes) || zip.read(local, 4) != kLocalSignature) {
    return fail(damaged("an entry's header is damaged"));
  }
  const std::size_t name_bytes = zip.read(local + 26, 2);
  const std::size_t data = local + kLocalBytes + name_bytes + zip.read(local + 28, 2);
  if (zip.read(local + 8, 2) != 0 || !zip.holds(local + kLocalBytes, name_bytes) ||
      zip.text(local + kLocalBytes, name_bytes) != entry.name) {
    return fail(damaged("an entry's header differs from the directory"));
  }
  if (!zip.holds(data, entry.size)) return fail(damaged("it is truncated"));
  const std::string_view content = zip.text(data, entry.size);
  if (crc32_of(content) != entry.crc32) return fail(damaged("its checksum is wrong"));
  return content;
}

bool is_graph_entry(std::string_view name) {
  // torch puts everything into one top folder.
  const std::size_t slash = name.find('/');
  return name == kGraphEntry || (slash != std::string_view::npos && name.substr(slash + 1) == kGraphEntry);
}

}  // namespace

Result<std::string_view> read_pt2_graph(std::span<const std::byte> pt2) {
  if (pt2.size() > kPt2BytesMax) return fail(damaged("it is too large"));
  const Bytes zip(pt2);
  if (zip.size() < kEndBytes || zip.read(zip.size() - kEndBytes, 4) != kEndSignature) {
    return fail(damaged("its end is missing; the file is truncated or of another kind"));
  }
  const std::size_t end = zip.size() - kEndBytes;
  const std::size_t count = zip.read(end + 10, 2);
  std::size_t offset = zip.read(end + 16, 4);
  if (count > kPt2EntriesMax) return fail(damaged("it has too many entries"));
  std::optional<Entry> graph;
  for (std::size_t i = 0; i < count; ++i) {
    KILN_TRY_ASSIGN(const Entry entry, read_central(zip, offset));
    if (!is_graph_entry(entry.name)) continue;
    if (graph) return fail(damaged("it holds two graphs"));
    graph = entry;
  }
  if (!graph) return fail(damaged("it holds no models/model.json"));
  return read_content(zip, *graph);
}

}  // namespace kiln::sharding
