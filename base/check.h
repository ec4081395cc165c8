// KILN_CHECK: always on, for programmer errors only; never for input, network, disk or device errors.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#define KILN_CHECK(condition, ...)                                                        \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fmt::print(stderr, "{}:{}: check failed: {}: ", __FILE__, __LINE__, #condition);    \
      fmt::print(stderr, __VA_ARGS__);                                                    \
      std::fputc('\n', stderr);                                                           \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)
