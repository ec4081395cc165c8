// Symbolic sizes of an exported graph, as torch writes them: `Mul(Integer(2), Symbol('s53',
// positive=True, integer=True))`. Parsing is also the gate in front of Python: torch.export.load hands
// these strings to sympy, which evaluates them as code, so nothing but this grammar may pass.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::sharding {

inline constexpr std::size_t kExpressionLengthMax = 16384;
inline constexpr int kExpressionDepthMax = 48;
inline constexpr std::size_t kSymbolDigitsMax = 6;

enum class ExpressionKind : std::uint8_t {
  kInteger, kRational, kSymbol, kTrue, kFalse,
  kAdd, kMul, kPow, kMin, kMax, kMod, kFloorDiv, kCleanDiv, kCeilDiv, kModularIndexing,
  kEqual, kUnequal, kLess, kLessEqual, kGreater, kGreaterEqual, kNot, kAnd, kOr,
};

// One node of an expression tree; kInteger uses numerator, kRational both, kSymbol `symbol`.
struct Expression {
  ExpressionKind kind = ExpressionKind::kInteger;
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;
  std::string symbol;
  std::vector<Expression> arguments;

  [[nodiscard]] static Expression integer(std::int64_t value) {
    return Expression{ExpressionKind::kInteger, value, 1, {}, {}};
  }
  [[nodiscard]] bool is_integer() const { return kind == ExpressionKind::kInteger; }
};

// Values of the symbols for one set of input sizes.
using SymbolValues = std::map<std::string, std::int64_t, std::less<>>;

[[nodiscard]] Result<Expression> parse_expression(std::string_view text);

// Exact arithmetic; an unknown symbol, an overflow, a division by zero or a result that is not an
// integer is an error. Booleans are 0 and 1.
[[nodiscard]] Result<std::int64_t> evaluate(const Expression& expression, const SymbolValues& values);

// "s" and digits: the only symbols a graph of ours may have (no data-dependent "u" symbols).
[[nodiscard]] bool is_symbol_name(std::string_view name);

// Symbols used in `expression`, appended without repeats.
void collect_symbols(const Expression& expression, std::vector<std::string>& symbols);

}  // namespace kiln::sharding
