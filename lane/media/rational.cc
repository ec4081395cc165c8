#include "lane/media/rational.h"

#include <charconv>
#include <limits>

namespace kiln::lane {
namespace {

__extension__ typedef __int128 Wide;  // products of three 41-bit parts do not fit in 64

constexpr std::int64_t kMaxPart = 1LL << 40U;

std::optional<std::int64_t> parse_part(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value > kMaxPart || value < -kMaxPart) return std::nullopt;
  return value;
}

struct Scaled {
  Wide numerator;
  Wide denominator;  // positive
};

std::optional<Scaled> scale(std::int64_t ticks, Rational from, Rational to) {
  const Rational a = reduced(from);
  const Rational b = reduced(to);
  if (!a.is_positive() || !b.is_positive()) return std::nullopt;
  // ticks × (a.num·b.den) / (a.den·b.num); cross-reduced so that the product stays below 2^126.
  const std::int64_t g1 = std::gcd(a.num, b.num);
  const std::int64_t g2 = std::gcd(b.den, a.den);
  const Wide up = static_cast<Wide>(a.num / g1) * (b.den / g2);
  const Wide down = static_cast<Wide>(a.den / g2) * (b.num / g1);
  if (up > std::numeric_limits<std::int64_t>::max()) {
    return ticks == 0 ? std::optional<Scaled>(Scaled{0, 1}) : std::nullopt;
  }
  return Scaled{up * ticks, down};
}

std::optional<std::int64_t> narrow(Wide value) {
  if (value > std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  if (value < std::numeric_limits<std::int64_t>::min()) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

Rational reduced(Rational value) {
  const std::int64_t divisor = std::gcd(value.num, value.den);
  if (divisor == 0) return value;
  const std::int64_t sign = value.den < 0 ? -1 : 1;
  return {sign * (value.num / divisor), sign * (value.den / divisor)};
}

std::optional<Rational> parse_rational(std::string_view text) {
  const auto separator = text.find_first_of("/:");
  const auto num = parse_part(text.substr(0, separator));
  if (!num) return std::nullopt;
  if (separator == std::string_view::npos) return Rational{*num, 1};
  const auto den = parse_part(text.substr(separator + 1));
  if (!den || *den == 0) return std::nullopt;
  return reduced({*num, *den});
}

std::optional<std::int64_t> rescale(std::int64_t ticks, Rational from, Rational to) {
  const auto scaled = scale(ticks, from, to);
  if (!scaled) return std::nullopt;
  const Wide half = scaled->denominator / 2;
  const Wide n = scaled->numerator;
  return narrow(n >= 0 ? (n + half) / scaled->denominator : -((-n + half) / scaled->denominator));
}

std::optional<std::int64_t> rescale_exactly(std::int64_t ticks, Rational from, Rational to) {
  const auto scaled = scale(ticks, from, to);
  if (!scaled || scaled->numerator % scaled->denominator != 0) return std::nullopt;
  return narrow(scaled->numerator / scaled->denominator);
}

}  // namespace kiln::lane
