#include "lane/media/mkv_rotation.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include "base/fd.h"

namespace kiln::lane {
namespace {

using Bytes = std::vector<std::byte>;

constexpr int kMatroskaTurnsSince = 7;  // ffmpeg's major version
constexpr std::size_t kHeadBytesMax = 1U << 20U;  // tracks come before everything large

void put(Bytes& out, std::uint64_t value, int byte_count) {
  for (int i = byte_count - 1; i >= 0; --i) {
    out.push_back(static_cast<std::byte>((value >> static_cast<unsigned>(8 * i)) & 0xFFU));
  }
}

void put_zeros(Bytes& out, std::size_t count) { out.resize(out.size() + count); }

void put_head(Bytes& out, std::uint32_t size, std::string_view type) {
  put(out, size, 4);
  for (const char c : type) out.push_back(static_cast<std::byte>(c));
}

// As ffmpeg writes it: ProjectionType 1 (equirectangular), ProjectionPrivate with 20 zero bytes.
std::string sphere() { return std::string("\x76\x71\x81\x01\x76\x72\x94", 7) + std::string(20, '\0'); }
// ProjectionType 0 (rectangular), and a Void element over the rest.
std::string flat() { return std::string("\x76\x71\x81\x00\xEC\x95", 6) + std::string(21, '\0'); }

Result<std::string> read_head(int fd) {
  std::string head(kHeadBytesMax, '\0');
  KILN_TRY_ASSIGN(const std::size_t count, read_fully(fd, std::as_writable_bytes(std::span(head))));
  head.resize(count);
  return head;
}

bool is_old(const MediaTools& tools) {
  return tools.major_version != 0 && tools.major_version < kMatroskaTurnsSince;
}

// Only moved or scaled.
bool is_upright(const DisplayMatrix& matrix) {
  return matrix[0] > 0 && matrix[0] == matrix[4] && matrix[1] == 0 && matrix[3] == 0;
}

}  // namespace

std::optional<int> quarter_turn(const DisplayMatrix& matrix) {
  const std::int32_t a = matrix[0];
  const std::int32_t b = matrix[1];
  const std::int64_t c = matrix[3];
  const std::int64_t d = matrix[4];
  if (d == a && c == 0 && b == 0 && a < 0) return 180;
  if (c == -static_cast<std::int64_t>(b) && a == 0 && d == 0 && b != 0) return b < 0 ? 90 : 270;
  return std::nullopt;
}

bool matroska_holds_turn(const MediaTools& tools, const DisplayMatrix& matrix) {
  return !is_old(tools) || is_upright(matrix) || quarter_turn(matrix).has_value();
}

std::optional<int> turn_to_mark(const MediaTools& tools, const ClipInfo& clip, Container container) {
  if (container != Container::kMatroska || !is_old(tools) || !clip.display_matrix) return std::nullopt;
  return quarter_turn(*clip.display_matrix);
}

Bytes turn_boxes(int degrees) {
  constexpr std::uint32_t kSvhd = 13;
  constexpr std::uint32_t kPrhd = 24;
  constexpr std::uint32_t kEqui = 28;
  constexpr std::uint32_t kProj = 8 + kPrhd + kEqui;
  Bytes out;
  put_head(out, 8 + kSvhd + kProj, "sv3d");
  put_head(out, kSvhd, "svhd");
  put(out, 0, 5);  // version and flags, no name
  put_head(out, kProj, "proj");
  put_head(out, kPrhd, "prhd");
  put_zeros(out, 12);  // version and flags, yaw, pitch
  put(out, static_cast<std::uint64_t>(degrees) << 16U, 4);
  put_head(out, kEqui, "equi");
  put_zeros(out, 20);  // version and flags, bounds: the whole sphere
  return out;
}

std::vector<std::string> turn_arguments() { return {"-write_crc32", "0"}; }

Status mark_as_turned(const std::string& matroska_file) {
  UniqueFd fd(::open(matroska_file.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error(errno, matroska_file));
  KILN_TRY_ASSIGN(const std::string head, read_head(fd.get()));
  const auto at = head.find(sphere());
  if (at == std::string::npos) {
    return fail(make_error(ErrorCode::kInternal,
                           "{}: this ffmpeg did not write how the picture is turned; write .mp4 or .mov",
                           matroska_file));
  }
  const std::string bytes = flat();
  if (::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) != static_cast<ssize_t>(bytes.size())) {
    return fail(errno_error(errno, matroska_file));
  }
  return {};
}

}  // namespace kiln::lane
