// An artifact on the wire: "kilnart1", the envelope's length (8 bytes, little endian), the envelope, the content.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace kiln::cache {

inline constexpr std::string_view kArtifactFrameMagic = "kilnart1";
inline constexpr std::uint64_t kEnvelopeBytesMax = 8ULL << 20U;
inline constexpr std::uint64_t kArtifactBytesMax = 1ULL << 30U;  // of the whole frame

// What comes before the content.
[[nodiscard]] std::string artifact_frame_head(std::string_view envelope);

// Takes a frame apart as it comes; the content goes into a memory file. One owner.
class ArtifactFrameReader {
 public:
  [[nodiscard]] Status append(std::span<const std::byte> bytes);
  // After the last byte. kDataLoss: the frame was not whole.
  [[nodiscard]] Status finish() const;
  [[nodiscard]] const std::string& envelope() const { return envelope_; }
  [[nodiscard]] int content_fd() const { return content_.get(); }

 private:
  [[nodiscard]] Status read_prefix();
  std::string prefix_;
  std::string envelope_;
  std::uint64_t envelope_bytes_ = 0;
  std::uint64_t content_bytes_ = 0;
  UniqueFd content_;
};

}  // namespace kiln::cache
