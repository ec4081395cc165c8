// Exact ratios: time bases, frame rates, aspect ratios.
#pragma once

#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::lane {

struct Rational {
  std::int64_t num = 0;
  std::int64_t den = 1;

  bool operator==(const Rational&) const = default;
  [[nodiscard]] bool is_positive() const { return num > 0 && den > 0; }
  [[nodiscard]] double value() const { return static_cast<double>(num) / static_cast<double>(den); }
  [[nodiscard]] std::string text() const { return std::to_string(num) + "/" + std::to_string(den); }
};

// Lowest terms, positive denominator. 0/0 stays.
[[nodiscard]] Rational reduced(Rational value);
// "30000/1001", "25", "32:27". nullopt for anything else, for a zero denominator, for parts beyond 2^40.
[[nodiscard]] std::optional<Rational> parse_rational(std::string_view text);

// `ticks` of `from` seconds each, in ticks of `to`; rounded to nearest, halves away from zero.
// nullopt where the result leaves 64 bits.
[[nodiscard]] std::optional<std::int64_t> rescale(std::int64_t ticks, Rational from, Rational to);
// The same, nullopt also where it would have to round.
[[nodiscard]] std::optional<std::int64_t> rescale_exactly(std::int64_t ticks, Rational from, Rational to);

}  // namespace kiln::lane
