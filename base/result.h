// Result<T>: a value or an Error. KILN_TRY and KILN_TRY_ASSIGN hand an error on to the caller.
#pragma once

#include <tl/expected.hpp>

#include "base/error.h"

namespace kiln {

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace kiln

#define KILN_CONCAT_INNER(a, b) a##b
#define KILN_CONCAT(a, b) KILN_CONCAT_INNER(a, b)

// Evaluates an expression of type Result<…>; returns its error from the enclosing function.
#define KILN_TRY(expr)                                                              \
  do {                                                                              \
    if (auto kiln_try_result = (expr); !kiln_try_result) {                          \
      return ::kiln::fail(std::move(kiln_try_result).error());                      \
    }                                                                               \
  } while (false)

// KILN_TRY_ASSIGN(auto x, f()): declares or assigns x, or returns f()'s error.
#define KILN_TRY_ASSIGN(var, expr)                                                  \
  KILN_TRY_ASSIGN_INNER(KILN_CONCAT(kiln_try_result_, __LINE__), var, expr)
#define KILN_TRY_ASSIGN_INNER(tmp, var, expr)                                       \
  auto tmp = (expr);                                                                \
  if (!tmp) return ::kiln::fail(std::move(tmp).error());                            \
  var = std::move(*tmp)
