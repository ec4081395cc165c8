#include "sharding/graph/symbol_expression.h"

#include <gtest/gtest.h>

namespace kiln::sharding {
namespace {

std::int64_t value_of(const char* text, const SymbolValues& values = {{"s0", 7}, {"s1", -3}}) {
  const auto expression = parse_expression(text);
  EXPECT_TRUE(expression) << text << ": " << (expression ? "" : expression.error().message);
  if (!expression) return INT64_MIN;
  const auto value = evaluate(*expression, values);
  EXPECT_TRUE(value) << text << ": " << (value ? "" : value.error().message);
  return value ? *value : INT64_MIN;
}

TEST(SymbolExpressionTest, EvaluatesWhatExportWrites) {
  EXPECT_EQ(value_of("Integer(5)"), 5);
  EXPECT_EQ(value_of("Symbol('s0', positive=True, integer=True)"), 7);
  EXPECT_EQ(value_of("Add(Integer(-2), Symbol('s0', integer=True), Integer(1))"), 6);
  EXPECT_EQ(value_of("Mul(Rational(1, 2), Integer(4), Symbol('s0', integer=True))"), 14);
  EXPECT_EQ(value_of("Pow(Symbol('s0', integer=True), Integer(2))"), 49);
  EXPECT_EQ(value_of("Mul(Integer(14), Pow(Symbol('s0', integer=True), Integer(-1)))"), 2);
  EXPECT_EQ(value_of("Min(Symbol('s0'), Symbol('s1'))"), -3);
  EXPECT_EQ(value_of("Max(Symbol('s0'), Symbol('s1'))"), 7);
  EXPECT_EQ(value_of("ModularIndexing(Symbol('s0'), Integer(2), Integer(2))"), 1);
  EXPECT_EQ(value_of("And(Equality(Symbol('s0'), Integer(7)), Not(LessThan(Symbol('s0'), Integer(2))))"), 1);
}

TEST(SymbolExpressionTest, DivisionRoundsAsPythonDoes) {
  EXPECT_EQ(value_of("FloorDiv(Symbol('s1'), Integer(2))"), -2);
  EXPECT_EQ(value_of("PythonMod(Symbol('s1'), Integer(2))"), 1);
  EXPECT_EQ(value_of("CeilDiv(Symbol('s0'), Integer(2))"), 4);
  EXPECT_EQ(value_of("FloorDiv(Symbol('s0'), Integer(-2))"), -4);
}

TEST(SymbolExpressionTest, BadArithmeticIsAnError) {
  for (const char* text : {"FloorDiv(Integer(1), Integer(0))", "Rational(1, 2)", "Symbol('s9')",
                           "Pow(Integer(9007199254740992), Integer(9))",
                           "Mul(Integer(9007199254740992), Integer(9007199254740992))",
                           "Pow(Integer(0), Integer(-1))"}) {
    const auto expression = parse_expression(text);
    ASSERT_TRUE(expression) << text;
    EXPECT_FALSE(evaluate(*expression, {{"s0", 7}})) << text;
  }
}

TEST(SymbolExpressionTest, AnythingElseIsRefused) {
  for (const char* text :
       {"", "s0", "5", "Integer(5) ", " Integer(5)", "Integer(5.0)", "Integer(0x5)", "Integer('5')",
        "Add(Integer(1))", "Add(Integer(1),Integer(2))", "FloorDiv(Integer(1), Integer(2), Integer(3))",
        "Symbol(s0)", "Symbol('s')", "Symbol('S0')", "Symbol('s0', integer=False)", "Symbol('s0',)",
        "Symbol(\"s0\")", "Integer(5)+Integer(5)", "open('x')", "Integer(5);x", "Rational(1, 0)",
        "Symbol('s0').x", "Function('f')(Integer(1))", "Integer(99999999999999999999)", "Integer(5))"}) {
    EXPECT_FALSE(parse_expression(text)) << text;
  }
}

TEST(SymbolExpressionTest, DepthAndLengthAreBounded) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "Not(";
  EXPECT_FALSE(parse_expression(deep));
  EXPECT_FALSE(parse_expression(std::string(kExpressionLengthMax + 1, 'x')));
}

}  // namespace
}  // namespace kiln::sharding
