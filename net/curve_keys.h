// The key pair with which a program of the farm shows who it is (CURVE), and the file that keeps it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/result.h"

namespace kiln::net {

inline constexpr std::size_t kZ85KeyChars = 40;  // 32 bytes

// The secret is wiped when the pair is destroyed.
struct CurveKeyPair {
  std::string public_z85;
  std::string secret_z85;

  CurveKeyPair() = default;
  CurveKeyPair(std::string public_key, std::string secret_key);
  CurveKeyPair(const CurveKeyPair&) = default;
  CurveKeyPair& operator=(const CurveKeyPair&) = default;
  ~CurveKeyPair();
};

[[nodiscard]] Result<CurveKeyPair> generate_curve_keys();

// 40 characters of Z85 that stand for 32 bytes, in the one spelling that encoding them gives.
[[nodiscard]] bool is_z85_key(std::string_view text);

// The format is in README.md of this folder. Mode 0600; a file that is there is never replaced (exit code 73).
[[nodiscard]] Status save_curve_keys(FileSystem& files, const std::string& path, const CurveKeyPair& keys);
[[nodiscard]] std::string curve_key_text(const CurveKeyPair& keys);  // what such a file holds
// Refuses a file that others may read, that belongs to somebody else, or whose halves do not belong together. "fd:N" is
// a descriptor that this program was started with: a key that is in no file at all.
[[nodiscard]] Result<CurveKeyPair> load_curve_keys(FileSystem& files, const std::string& path);

}  // namespace kiln::net
