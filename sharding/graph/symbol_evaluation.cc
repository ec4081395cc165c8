// evaluate(): exact arithmetic over fractions of 64-bit integers, every overflow an error.
#include <numeric>

#include "sharding/graph/symbol_expression.h"

namespace kiln::sharding {
namespace {

// Products of two 64-bit numbers fit.
__extension__ typedef __int128 Wide;

constexpr std::int64_t kExponentMax = 16;

struct Fraction {
  std::int64_t numerator = 0;
  std::int64_t denominator = 1;  // > 0
  [[nodiscard]] bool whole() const { return denominator == 1; }
};

Error out_of_range() { return input_refused("symbol expression: a value is out of range"); }

Result<Fraction> make_fraction(Wide numerator, Wide denominator) {
  if (denominator == 0) return fail(input_refused("symbol expression: division by zero"));
  if (denominator < 0) {
    numerator = -numerator;
    denominator = -denominator;
  }
  Wide a = numerator < 0 ? -numerator : numerator;
  Wide b = denominator;
  while (b != 0) {
    const Wide rest = a % b;
    a = b;
    b = rest;
  }
  if (a > 1) {
    numerator /= a;
    denominator /= a;
  }
  constexpr Wide kMax = INT64_MAX;
  if (numerator > kMax || numerator < -kMax || denominator > kMax) return fail(out_of_range());
  return Fraction{static_cast<std::int64_t>(numerator), static_cast<std::int64_t>(denominator)};
}

Result<Fraction> add(Fraction a, Fraction b) {
  // Both products stay below 2^126; their sum is checked before it can wrap.
  const Wide left = static_cast<Wide>(a.numerator) * b.denominator;
  const Wide right = static_cast<Wide>(b.numerator) * a.denominator;
  return make_fraction(left + right, static_cast<Wide>(a.denominator) * b.denominator);
}

Result<Fraction> multiply(Fraction a, Fraction b) {
  return make_fraction(static_cast<Wide>(a.numerator) * b.numerator,
                       static_cast<Wide>(a.denominator) * b.denominator);
}

Result<Fraction> divide(Fraction a, Fraction b) {
  return make_fraction(static_cast<Wide>(a.numerator) * b.denominator,
                       static_cast<Wide>(a.denominator) * b.numerator);
}

std::int64_t floor_of(Fraction a) {
  const std::int64_t quotient = a.numerator / a.denominator;
  return a.numerator % a.denominator < 0 ? quotient - 1 : quotient;
}

bool less(Fraction a, Fraction b) {
  return static_cast<Wide>(a.numerator) * b.denominator <
         static_cast<Wide>(b.numerator) * a.denominator;
}

bool equal(Fraction a, Fraction b) {
  return a.numerator == b.numerator && a.denominator == b.denominator;
}

Result<Fraction> power(Fraction base, Fraction exponent) {
  if (!exponent.whole() || exponent.numerator > kExponentMax || exponent.numerator < -kExponentMax) {
    return fail(out_of_range());
  }
  Fraction result{1, 1};
  for (std::int64_t i = 0; i < std::abs(exponent.numerator); ++i) {
    KILN_TRY_ASSIGN(result, multiply(result, base));
  }
  return exponent.numerator < 0 ? divide({1, 1}, result) : Result<Fraction>(result);
}

Fraction truth(bool value) { return {value ? 1 : 0, 1}; }

Result<Fraction> floor_divide(Fraction a, Fraction b) {
  KILN_TRY_ASSIGN(const Fraction quotient, divide(a, b));
  return Fraction{floor_of(quotient), 1};
}

// a - b * floor(a / b), as Python's %.
Result<Fraction> modulo(Fraction a, Fraction b) {
  KILN_TRY_ASSIGN(const Fraction quotient, floor_divide(a, b));
  KILN_TRY_ASSIGN(const Fraction product, multiply(b, quotient));
  return add(a, {-product.numerator, product.denominator});
}

Result<Fraction> value_of(const Expression& expression, const SymbolValues& values);

Result<Fraction> fold(const Expression& expression, const SymbolValues& values) {
  KILN_TRY_ASSIGN(Fraction result, value_of(expression.arguments.front(), values));
  for (std::size_t i = 1; i < expression.arguments.size(); ++i) {
    KILN_TRY_ASSIGN(const Fraction next, value_of(expression.arguments[i], values));
    switch (expression.kind) {
      case ExpressionKind::kAdd: { KILN_TRY_ASSIGN(result, add(result, next)); break; }
      case ExpressionKind::kMul: { KILN_TRY_ASSIGN(result, multiply(result, next)); break; }
      case ExpressionKind::kMin: result = less(next, result) ? next : result; break;
      case ExpressionKind::kMax: result = less(result, next) ? next : result; break;
      case ExpressionKind::kAnd: result = truth(result.numerator != 0 && next.numerator != 0); break;
      default: result = truth(result.numerator != 0 || next.numerator != 0); break;  // kOr
    }
  }
  return result;
}

Result<Fraction> binary(const Expression& expression, const SymbolValues& values) {
  KILN_TRY_ASSIGN(const Fraction a, value_of(expression.arguments[0], values));
  KILN_TRY_ASSIGN(const Fraction b, value_of(expression.arguments[1], values));
  switch (expression.kind) {
    case ExpressionKind::kPow: return power(a, b);
    case ExpressionKind::kMod: return modulo(a, b);
    case ExpressionKind::kFloorDiv: return floor_divide(a, b);
    case ExpressionKind::kCleanDiv: return divide(a, b);
    case ExpressionKind::kCeilDiv: {
      KILN_TRY_ASSIGN(const Fraction quotient, floor_divide({-a.numerator, a.denominator}, b));
      return Fraction{-quotient.numerator, 1};
    }
    case ExpressionKind::kModularIndexing: {  // (a // b) % c
      KILN_TRY_ASSIGN(const Fraction c, value_of(expression.arguments[2], values));
      KILN_TRY_ASSIGN(const Fraction quotient, floor_divide(a, b));
      return modulo(quotient, c);
    }
    case ExpressionKind::kEqual: return truth(equal(a, b));
    case ExpressionKind::kUnequal: return truth(!equal(a, b));
    case ExpressionKind::kLess: return truth(less(a, b));
    case ExpressionKind::kLessEqual: return truth(!less(b, a));
    case ExpressionKind::kGreater: return truth(less(b, a));
    default: return truth(!less(a, b));  // kGreaterEqual
  }
}

Result<Fraction> value_of(const Expression& expression, const SymbolValues& values) {
  switch (expression.kind) {
    case ExpressionKind::kInteger: return Fraction{expression.numerator, 1};
    case ExpressionKind::kRational:
      return make_fraction(expression.numerator, expression.denominator);
    case ExpressionKind::kTrue: return truth(true);
    case ExpressionKind::kFalse: return truth(false);
    case ExpressionKind::kSymbol: {
      const auto found = values.find(expression.symbol);
      if (found != values.end()) return Fraction{found->second, 1};
      return fail(input_refused("symbol expression: no input gives '{}' a value", expression.symbol));
    }
    case ExpressionKind::kNot: {
      KILN_TRY_ASSIGN(const Fraction a, value_of(expression.arguments[0], values));
      return truth(a.numerator == 0);
    }
    case ExpressionKind::kAdd: case ExpressionKind::kMul: case ExpressionKind::kMin:
    case ExpressionKind::kMax: case ExpressionKind::kAnd: case ExpressionKind::kOr:
      return fold(expression, values);
    default: return binary(expression, values);
  }
}

}  // namespace

Result<std::int64_t> evaluate(const Expression& expression, const SymbolValues& values) {
  KILN_TRY_ASSIGN(const Fraction result, value_of(expression, values));
  if (!result.whole()) return fail(input_refused("symbol expression: the value is not whole"));
  return result.numerator;
}

}  // namespace kiln::sharding
