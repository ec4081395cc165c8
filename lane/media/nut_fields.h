// The payload of one NUT packet, read front to back. For the demuxer's own files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "lane/media/nut_demuxer.h"

namespace kiln::lane {

namespace nut {

inline constexpr std::uint64_t kMaxHeaderBytes = 1ULL << 24U;
inline constexpr std::uint64_t kMaxReservedFields = 256;
inline constexpr std::int64_t kMaxPts = 1LL << 60U;

template <typename... Args>
tl::unexpected<Error> corrupt(fmt::format_string<Args...> format, Args&&... args) {
  return fail(make_error(ErrorCode::kDataLoss, "not a valid NUT stream: {}",
                         fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace nut

class NutDemuxer::Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : rest_(bytes) {}

  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < rest_.size() && i < 10; ++i) {
      const auto byte = std::to_integer<std::uint64_t>(rest_[i]);
      if (value >> 57U != 0) break;
      value = (value << 7U) | (byte & 0x7FU);
      if (byte < 0x80U) {
        rest_ = rest_.subspan(i + 1);
        return value;
      }
    }
    return nut::corrupt("a number is cut short or too long");
  }
  Result<std::int64_t> signed_varint() {
    KILN_TRY_ASSIGN(const std::uint64_t coded, varint());
    return to_signed(coded);
  }
  Result<std::vector<std::byte>> bytes() {
    KILN_TRY_ASSIGN(const std::uint64_t count, varint());
    if (count > rest_.size()) return nut::corrupt("a field is longer than its packet");
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(taken.size());
    return std::vector<std::byte>(taken.begin(), taken.end());
  }

 private:
  static std::int64_t to_signed(std::uint64_t coded) {
    const std::uint64_t shifted = coded + 1;
    const auto half = static_cast<std::int64_t>(shifted >> 1U);
    return (shifted & 1U) != 0 ? -half : half;
  }

  std::span<const std::byte> rest_;
};

}  // namespace kiln::lane
