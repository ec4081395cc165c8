#include "net/farm_names.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "net/farm_limits.h"

namespace kiln::net {
namespace {

constexpr std::size_t kSha256Digits = 64;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool valid_job_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != '-' &&
         std::ranges::all_of(name, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool valid_worker_name(std::string_view name) {
  const auto allowed = [](char c) {
    return is_lower(c) || is_upper(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
         std::ranges::all_of(name, allowed);
}

// A start of a coordinator asks it of a million hashes: a table, and no way out of the loop.
bool valid_sha256(std::string_view hex) {
  static constexpr std::array<bool, 256> kIsHex = [] {
    std::array<bool, 256> is_hex{};
    for (const char c : std::string_view("0123456789abcdef")) is_hex[static_cast<unsigned char>(c)] = true;
    return is_hex;
  }();
  if (hex.size() != kSha256Digits) return false;
  bool good = true;
  for (const char c : hex) good = good & kIsHex[static_cast<unsigned char>(c)];
  return good;
}

bool valid_relative_path(std::string_view path) {
  return path.size() <= kPathBytesMax && is_one_line(path) &&
         std::ranges::all_of(split(path, '/'), [](std::string_view part) {
           return !part.empty() && part != "." && part != "..";
         });
}

bool is_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

std::string_view to_string(FailureKind kind) {
  switch (kind) {
    case FailureKind::kOutOfMemory: return "out_of_memory";
    case FailureKind::kCrash: return "crash";
    case FailureKind::kHang: return "hang";
    case FailureKind::kError: return "error";
    case FailureKind::kLostLane: return "lost_lane";
    case FailureKind::kBadInput: return "bad_input";
    case FailureKind::kArtifactMismatch: return "artifact_mismatch";
    case FailureKind::kStoreFull: return "store_full";
  }
  return "unknown";
}

}  // namespace kiln::net
