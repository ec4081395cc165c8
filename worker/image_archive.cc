#include "worker/image_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/file_system.h"

namespace kiln::worker {
namespace {

constexpr std::size_t kBlockBytes = 512;
constexpr std::size_t kNameBytesMax = 100;  // with the zero behind it; longer names stand in an entry of their own
constexpr std::size_t kLongNameBytesMax = 255;
constexpr char kFile = '0';
constexpr char kLongName = 'x';  // POSIX.1-2001 ("pax"): the next entry's name is in this one's bytes
constexpr std::string_view kLongNameEntry = "name";
constexpr std::string_view kPathKey = " path=";
using Block = std::array<char, kBlockBytes>;

void put_field(Block& block, std::size_t at, const std::string& text) { std::memcpy(block.data() + at, text.data(), text.size()); }

// The header of POSIX.1-1988 ("ustar"): numbers in octal, the sum of all bytes with blanks where it goes.
Block header_of(std::string_view name, std::uint64_t bytes, char type = kFile) {
  Block block{};
  put_field(block, 0, std::string(name));
  put_field(block, 100, "0000644");
  put_field(block, 108, "0000000");
  put_field(block, 116, "0000000");
  put_field(block, 124, fmt::format("{:011o}", bytes));
  put_field(block, 136, "00000000000");
  put_field(block, 148, "        ");
  block[156] = type;
  put_field(block, 257, std::string("ustar\0" "00", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put_field(block, 148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return block;
}

// "26 path=…": the number counts all of it, its own digits too.
std::string long_name_record(const std::string& name) {
  const std::string rest = std::string(kPathKey) + name + "\n";
  std::size_t bytes = rest.size();
  while (std::to_string(bytes).size() + rest.size() != bytes) ++bytes;
  return std::to_string(bytes) + rest;
}

Block block_of(const std::string& text) {
  Block block{};
  put_field(block, 0, text);
  return block;
}

Status write_block(int fd, const Block& block) { return write_fully(fd, std::as_bytes(std::span(block))); }

Status write_header(int archive, const std::string& name, std::uint64_t bytes) {
  if (name.size() >= kNameBytesMax) {
    const std::string record = long_name_record(name);
    KILN_TRY(write_block(archive, header_of(kLongNameEntry, record.size(), kLongName)));
    KILN_TRY(write_block(archive, block_of(record)));
  }
  return write_block(archive, header_of(std::string_view(name).substr(0, kNameBytesMax - 1), bytes));
}

Status append_file(int archive, const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name;
  KILN_TRY_ASSIGN(const UniqueFd fd, posix_file_system().open_for_read(path));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error(errno, path));
  const auto bytes = static_cast<std::uint64_t>(info.st_size);
  if (name.size() > kLongNameBytesMax || bytes >= kArchivedFileBytesMax) {
    return fail(make_error(ErrorCode::kOutOfRange, "{}: its name or size is beyond what an archive holds", name));
  }
  KILN_TRY(write_header(archive, name, bytes));
  std::vector<std::byte> buffer(1U << 20U);
  for (std::uint64_t left = bytes; left > 0;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
    KILN_TRY_ASSIGN(const std::size_t read, read_fully(fd.get(), std::span(buffer).first(piece)));
    if (read != piece) return fail(make_error(ErrorCode::kDataLoss, "{} became shorter", path));
    KILN_TRY(write_fully(archive, std::span(buffer).first(piece)));
    left -= piece;
  }
  const std::size_t rest = static_cast<std::size_t>(bytes % kBlockBytes);
  if (rest == 0) return {};
  const Block padding{};
  return write_fully(archive, std::as_bytes(std::span(padding)).first(kBlockBytes - rest));
}

// ---- reading ----

struct Entry {
  std::string name;
  std::uint64_t bytes = 0;
};

Error bad_archive(const std::string& archive, const char* why) {
  return make_error(ErrorCode::kDataLoss, "{}: no archive of images: {}", archive, why);
}

std::optional<std::uint64_t> octal_field(const Block& block, std::size_t at, std::size_t digits) {
  std::uint64_t value = 0;
  for (std::size_t i = at; i < at + digits; ++i) {
    if (block[i] < '0' || block[i] > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(block[i] - '0');
  }
  return value;
}

Result<Block> next_block(int fd, const std::string& archive) {
  Block block{};
  KILN_TRY_ASSIGN(const std::size_t read, read_fully(fd, std::as_writable_bytes(std::span(block))));
  if (read != kBlockBytes) return fail(bad_archive(archive, "it ends too early"));
  return block;
}

// Its bytes are one block, as we write them.
Result<std::string> parse_long_name(const std::string& archive, const Block& block) {
  const std::string text(block.data(), ::strnlen(block.data(), kBlockBytes));
  const std::size_t at = text.find(kPathKey);
  if (at == std::string::npos || !text.ends_with('\n')) return fail(bad_archive(archive, "a long name that is none"));
  std::string name = text.substr(at + kPathKey.size(), text.size() - at - kPathKey.size() - 1);
  const bool fits = name.size() >= kNameBytesMax && name.size() <= kLongNameBytesMax;
  if (!fits || block_of(long_name_record(name)) != block) return fail(bad_archive(archive, "a long name that is none"));
  return name;
}

// nullopt: the block of zeros at the end.
Result<std::optional<Entry>> parse_header(const std::string& archive, const Block& block, const std::string& long_name) {
  if (std::all_of(block.begin(), block.end(), [](char c) { return c == 0; })) return std::optional<Entry>{};
  Entry entry;
  entry.name = std::string(block.data(), ::strnlen(block.data(), kNameBytesMax));
  const auto bytes = octal_field(block, 124, 11);
  if (!bytes || header_of(entry.name, *bytes) != block) return fail(bad_archive(archive, "a header that is none of ours"));
  if (!long_name.empty()) {
    if (!long_name.starts_with(entry.name)) return fail(bad_archive(archive, "a long name of another file"));
    entry.name = long_name;
  }
  if (entry.name.empty() || entry.name.front() == '.' || entry.name.find('/') != std::string::npos) {
    return fail(bad_archive(archive, "a name that is a path"));
  }
  entry.bytes = *bytes;
  return std::optional<Entry>(std::move(entry));
}

Result<std::optional<Entry>> next_entry(int fd, const std::string& archive) {
  KILN_TRY_ASSIGN(Block block, next_block(fd, archive));
  std::string long_name;
  if (block[156] == kLongName) {
    const auto bytes = octal_field(block, 124, 11);
    if (!bytes || *bytes > kBlockBytes || header_of(kLongNameEntry, *bytes, kLongName) != block) {
      return fail(bad_archive(archive, "a header that is none of ours"));
    }
    KILN_TRY_ASSIGN(const Block name, next_block(fd, archive));
    KILN_TRY_ASSIGN(long_name, parse_long_name(archive, name));
    if (long_name_record(long_name).size() != *bytes) return fail(bad_archive(archive, "a long name that is none"));
    KILN_TRY_ASSIGN(block, next_block(fd, archive));
  }
  return parse_header(archive, block, long_name);
}

Status copy_out(int archive, const std::string& archive_path, const Entry& entry, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.valid()) return fail(errno_error(errno, path));
  std::vector<std::byte> buffer(1U << 20U);
  const std::uint64_t padded = (entry.bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  for (std::uint64_t at = 0; at < padded;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(padded - at, buffer.size()));
    KILN_TRY_ASSIGN(const std::size_t read, read_fully(archive, std::span(buffer).first(piece)));
    if (read != piece) return fail(bad_archive(archive_path, "it ends too early"));
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(piece, entry.bytes > at ? entry.bytes - at : 0));
    KILN_TRY(write_fully(fd.get(), std::span(buffer).first(wanted)));
    at += piece;
  }
  return {};
}

}  // namespace

Status write_image_archive(const std::string& folder, const std::string& archive) {
  KILN_TRY_ASSIGN(const std::vector<std::string> names, posix_file_system().list(folder));
  if (names.empty()) return fail(make_error(ErrorCode::kInternal, "{}: not one image was written", folder));
  UniqueFd fd(::open(archive.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail(errno_error(errno, archive));
  for (const std::string& name : names) KILN_TRY(append_file(fd.get(), folder, name));
  KILN_TRY(write_block(fd.get(), Block{}));
  return write_block(fd.get(), Block{});
}

Status read_image_archive(const std::string& archive, const std::string& folder) {
  KILN_TRY_ASSIGN(const UniqueFd fd, posix_file_system().open_for_read(archive));
  for (;;) {
    KILN_TRY_ASSIGN(const std::optional<Entry> entry, next_entry(fd.get(), archive));
    if (!entry) return {};
    KILN_TRY(copy_out(fd.get(), archive, *entry, folder + "/" + entry->name));
  }
}

}  // namespace kiln::worker
