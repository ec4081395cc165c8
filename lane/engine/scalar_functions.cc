#include "lane/engine/scalar_functions.h"

#include <algorithm>

namespace kiln::lane {
namespace {

constexpr std::int64_t kExponentMax = 62;

Error overflow(std::string_view op) { return input_refused("{}: the result does not fit", op); }

Result<std::int64_t> floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0 || (a == INT64_MIN && b == -1)) return fail(input_refused("sym::floordiv: division by zero"));
  const std::int64_t quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

Result<std::int64_t> power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0 || exponent > kExponentMax) return fail(overflow("sym::pow"));
  std::int64_t result = 1;
  for (std::int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(result, base, &result)) return fail(overflow("sym::pow"));
  }
  return result;
}

Result<std::int64_t> arithmetic(std::string_view op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool wrapped = false;
  if (op == "sym::add") wrapped = __builtin_add_overflow(a, b, &result);
  if (op == "sym::sub") wrapped = __builtin_sub_overflow(a, b, &result);
  if (op == "sym::mul") wrapped = __builtin_mul_overflow(a, b, &result);
  if (wrapped) return fail(overflow(op));
  return result;
}

Result<std::int64_t> call_binary(std::string_view op, std::int64_t a, std::int64_t b) {
  if (op == "sym::floordiv") return floor_divide(a, b);
  if (op == "sym::mod") {
    KILN_TRY_ASSIGN(const std::int64_t quotient, floor_divide(a, b));
    return a - b * quotient;
  }
  if (op == "sym::pow") return power(a, b);
  if (op == "sym::max") return std::max(a, b);
  if (op == "sym::min") return std::min(a, b);
  if (op == "sym::eq") return a == b ? 1 : 0;
  if (op == "sym::ne") return a != b ? 1 : 0;
  if (op == "sym::lt") return a < b ? 1 : 0;
  if (op == "sym::le") return a <= b ? 1 : 0;
  if (op == "sym::gt") return a > b ? 1 : 0;
  if (op == "sym::ge") return a >= b ? 1 : 0;
  return arithmetic(op, a, b);
}

}  // namespace

bool scalar_function_gives_bool(std::string_view op) {
  for (const std::string_view name :
       {"sym::eq", "sym::ne", "sym::lt", "sym::le", "sym::gt", "sym::ge", "sym::not"}) {
    if (op == name) return true;
  }
  return false;
}

Result<std::int64_t> call_scalar_function(std::string_view op,
                                          const std::vector<std::int64_t>& arguments) {
  if (arguments.size() == 1 && op == "sym::not") return arguments[0] == 0 ? 1 : 0;
  if (arguments.size() == 1 && op == "sym::neg") return arithmetic("sym::sub", 0, arguments[0]);
  if (arguments.size() == 2) return call_binary(op, arguments[0], arguments[1]);
  if (arguments.size() == 3 && op == "sym::ite") return arguments[0] != 0 ? arguments[1] : arguments[2];
  return fail(input_refused("{} with {} arguments", op, arguments.size()));
}

}  // namespace kiln::lane
