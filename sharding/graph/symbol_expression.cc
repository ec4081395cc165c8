#include "sharding/graph/symbol_expression.h"

#include <algorithm>
#include <charconv>
#include <cctype>

namespace kiln::sharding {
namespace {

struct FunctionForm {
  std::string_view name;
  ExpressionKind kind;
  std::size_t arguments_min;
  std::size_t arguments_max;
};

constexpr std::size_t kArgumentsMax = 64;
// Larger whole numbers appear in no size; the bound keeps their negation and sums far from overflow.
constexpr std::int64_t kNumberMax = std::int64_t{1} << 53U;

// The functions that torch's shape environment produces for sizes of convolutional and attention
// networks. Integer, Rational, Symbol and the constants have forms of their own.
constexpr FunctionForm kFunctions[] = {
    {"Add", ExpressionKind::kAdd, 2, kArgumentsMax},
    {"Mul", ExpressionKind::kMul, 2, kArgumentsMax},
    {"Pow", ExpressionKind::kPow, 2, 2},
    {"PowByNatural", ExpressionKind::kPow, 2, 2},
    {"Min", ExpressionKind::kMin, 2, kArgumentsMax},
    {"Max", ExpressionKind::kMax, 2, kArgumentsMax},
    {"Mod", ExpressionKind::kMod, 2, 2},
    {"PythonMod", ExpressionKind::kMod, 2, 2},
    {"FloorDiv", ExpressionKind::kFloorDiv, 2, 2},
    {"CleanDiv", ExpressionKind::kCleanDiv, 2, 2},
    {"CeilDiv", ExpressionKind::kCeilDiv, 2, 2},
    {"ModularIndexing", ExpressionKind::kModularIndexing, 3, 3},
    {"Equality", ExpressionKind::kEqual, 2, 2},
    {"Unequality", ExpressionKind::kUnequal, 2, 2},
    {"StrictLessThan", ExpressionKind::kLess, 2, 2},
    {"LessThan", ExpressionKind::kLessEqual, 2, 2},
    {"StrictGreaterThan", ExpressionKind::kGreater, 2, 2},
    {"GreaterThan", ExpressionKind::kGreaterEqual, 2, 2},
    {"Not", ExpressionKind::kNot, 1, 1},
    {"And", ExpressionKind::kAnd, 2, kArgumentsMax},
    {"Or", ExpressionKind::kOr, 2, kArgumentsMax},
};

// What torch writes behind a symbol's name; assumptions of sympy, no free text.
constexpr std::string_view kAssumptions[] = {"positive=True", "integer=True", "nonnegative=True",
                                             "negative=False", "zero=False"};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Expression> parse_all() {
    KILN_TRY_ASSIGN(Expression expression, parse(0));
    if (position_ != text_.size()) return error("more text after the expression");
    return expression;
  }

 private:
  Result<Expression> parse(int depth) {
    if (depth > kExpressionDepthMax) return error("nested too deeply");
    const std::string_view name = identifier();
    if (name.empty()) return error("a function name was expected");
    if (name == "true") return Expression{ExpressionKind::kTrue, 0, 1, {}, {}};
    if (name == "false") return Expression{ExpressionKind::kFalse, 0, 1, {}, {}};
    if (!take('(')) return error("'(' was expected");
    if (name == "Integer") return parse_integer();
    if (name == "Rational") return parse_rational();
    if (name == "Symbol") return parse_symbol();
    const auto* form = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                    [&](const FunctionForm& f) { return f.name == name; });
    if (form == std::end(kFunctions)) return error("unknown function");
    return parse_arguments(*form, depth);
  }

  Result<Expression> parse_arguments(const FunctionForm& form, int depth) {
    Expression expression{form.kind, 0, 1, {}, {}};
    do {
      if (expression.arguments.size() == form.arguments_max) return error("too many arguments");
      KILN_TRY_ASSIGN(Expression argument, parse(depth + 1));
      expression.arguments.push_back(std::move(argument));
    } while (take_separator());
    if (!take(')')) return error("')' was expected");
    if (expression.arguments.size() < form.arguments_min) return error("too few arguments");
    return expression;
  }

  Result<Expression> parse_integer() {
    KILN_TRY_ASSIGN(const std::int64_t value, number());
    if (!take(')')) return error("')' was expected");
    return Expression::integer(value);
  }

  Result<Expression> parse_rational() {
    Expression expression{ExpressionKind::kRational, 0, 1, {}, {}};
    KILN_TRY_ASSIGN(expression.numerator, number());
    if (!take_separator()) return error("', ' was expected");
    KILN_TRY_ASSIGN(expression.denominator, number());
    if (expression.denominator <= 0) return error("a denominator must be positive");
    if (!take(')')) return error("')' was expected");
    return expression;
  }

  Result<Expression> parse_symbol() {
    if (!take('\'')) return error("a quoted symbol was expected");
    const std::string_view name = identifier();
    if (!is_symbol_name(name)) return error("a symbol must be 's' and at most 6 digits");
    if (!take('\'')) return error("a quote was expected");
    Expression expression{ExpressionKind::kSymbol, 0, 1, std::string(name), {}};
    while (take_separator()) {
      const auto* found = std::find_if(
          std::begin(kAssumptions), std::end(kAssumptions),
          [&](std::string_view a) { return text_.substr(position_).starts_with(a); });
      if (found == std::end(kAssumptions)) return error("unknown assumption about a symbol");
      position_ += found->size();
    }
    if (!take(')')) return error("')' was expected");
    return expression;
  }

  Result<std::int64_t> number() {
    std::int64_t value = 0;
    const char* begin = text_.data() + position_;
    const auto [end, code] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (code != std::errc() || value > kNumberMax || value < -kNumberMax) {
      return error_of<std::int64_t>("a whole number of at most 2^53 was expected");
    }
    position_ += static_cast<std::size_t>(end - begin);
    return value;
  }

  std::string_view identifier() {
    const std::size_t start = position_;
    while (position_ < text_.size() &&
           std::isalnum(static_cast<unsigned char>(text_[position_])) != 0) {
      ++position_;
    }
    return text_.substr(start, position_ - start);
  }

  bool take(char c) {
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }

  bool take_separator() {
    if (!text_.substr(position_).starts_with(", ")) return false;
    position_ += 2;
    return true;
  }

  template <typename T>
  Result<T> error_of(std::string_view what) const {
    return fail(input_refused("symbol expression, character {}: {}", position_ + 1, what));
  }
  Result<Expression> error(std::string_view what) const { return error_of<Expression>(what); }

  std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace

bool is_symbol_name(std::string_view name) {
  if (name.size() < 2 || name.size() > 1 + kSymbolDigitsMax || name.front() != 's') return false;
  return std::all_of(name.begin() + 1, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<Expression> parse_expression(std::string_view text) {
  if (text.size() > kExpressionLengthMax) {
    return fail(input_refused("symbol expression: {} characters, at most {} are read", text.size(),
                              kExpressionLengthMax));
  }
  return Parser(text).parse_all();
}

void collect_symbols(const Expression& expression, std::vector<std::string>& symbols) {
  if (expression.kind == ExpressionKind::kSymbol &&
      std::find(symbols.begin(), symbols.end(), expression.symbol) == symbols.end()) {
    symbols.push_back(expression.symbol);
  }
  for (const Expression& argument : expression.arguments) collect_symbols(argument, symbols);
}

}  // namespace kiln::sharding
