#include "lane/engine/scalar_functions.h"

#include <gtest/gtest.h>

namespace kiln::lane {
namespace {

TEST(ScalarFunctionsTest, RoundAsPythonDoes) {
  EXPECT_EQ(*call_scalar_function("sym::floordiv", {-3, 2}), -2);
  EXPECT_EQ(*call_scalar_function("sym::floordiv", {-4, 2}), -2);
  EXPECT_EQ(*call_scalar_function("sym::mod", {-3, 2}), 1);
  EXPECT_EQ(*call_scalar_function("sym::mod", {3, -2}), -1);
  EXPECT_EQ(*call_scalar_function("sym::pow", {3, 4}), 81);
  EXPECT_EQ(*call_scalar_function("sym::ite", {0, 4, 5}), 5);
  EXPECT_EQ(*call_scalar_function("sym::neg", {4}), -4);
}

TEST(ScalarFunctionsTest, WhatDoesNotFitIsAnError) {
  EXPECT_FALSE(call_scalar_function("sym::floordiv", {1, 0}));
  EXPECT_FALSE(call_scalar_function("sym::mod", {1, 0}));
  EXPECT_FALSE(call_scalar_function("sym::floordiv", {INT64_MIN, -1}));
  EXPECT_FALSE(call_scalar_function("sym::mul", {INT64_MAX, 2}));
  EXPECT_FALSE(call_scalar_function("sym::add", {INT64_MAX, 1}));
  EXPECT_FALSE(call_scalar_function("sym::pow", {2, 63}));
  EXPECT_FALSE(call_scalar_function("sym::mul", {1}));
}

}  // namespace
}  // namespace kiln::lane
