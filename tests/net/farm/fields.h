// Visits the fields of a plain struct, whatever they are called: a test that fills or counts them all then knows of
// fields that were added after it was written.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace kiln::net::test {

struct AnyField {
  template <typename T>
  operator T() const;  // never defined: only asked whether it would fit
};

template <typename T, std::size_t... I>
constexpr bool takes_fields(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), AnyField{})...}; };
}

inline constexpr std::size_t kFieldsMax = 19;

template <typename T, std::size_t N = kFieldsMax>
constexpr std::size_t field_count() {
  if constexpr (N == 0) {
    return 0;
  } else if constexpr (takes_fields<T>(std::make_index_sequence<N>())) {
    static_assert(!takes_fields<T>(std::make_index_sequence<kFieldsMax + 1>()), "kFieldsMax is too small");
    return N;
  } else {
    return field_count<T, N - 1>();
  }
}

template <typename F, typename... Fields>
void visit_each(F& visit, Fields&... fields) {
  (visit(fields), ...);
}

template <typename T, typename F>
void for_each_field(T& value, F visit) {
  constexpr std::size_t kCount = field_count<T>();
#define KILN_FIELDS(count, ...)           \
  if constexpr (kCount == (count)) {      \
    auto& [__VA_ARGS__] = value;          \
    visit_each(visit, __VA_ARGS__);       \
  }
  KILN_FIELDS(1, a)
  KILN_FIELDS(2, a, b)
  KILN_FIELDS(3, a, b, c)
  KILN_FIELDS(4, a, b, c, d)
  KILN_FIELDS(5, a, b, c, d, e)
  KILN_FIELDS(6, a, b, c, d, e, f)
  KILN_FIELDS(7, a, b, c, d, e, f, g)
  KILN_FIELDS(8, a, b, c, d, e, f, g, h)
  KILN_FIELDS(9, a, b, c, d, e, f, g, h, i)
  KILN_FIELDS(10, a, b, c, d, e, f, g, h, i, j)
  KILN_FIELDS(11, a, b, c, d, e, f, g, h, i, j, k)
  KILN_FIELDS(12, a, b, c, d, e, f, g, h, i, j, k, l)
  KILN_FIELDS(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  KILN_FIELDS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
  KILN_FIELDS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
  KILN_FIELDS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
  KILN_FIELDS(17, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q)
  KILN_FIELDS(18, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)
  KILN_FIELDS(19, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s)
#undef KILN_FIELDS
}

}  // namespace kiln::net::test
