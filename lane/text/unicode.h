// Code points: from and to UTF-8, which of them are white space, composed forms. As Python's str has them.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace kiln::lane {

// Refuses what is no UTF-8, with the place. Encoded surrogates are taken: joining them is a step of cleaning.
[[nodiscard]] Result<std::u32string> from_utf8(std::string_view bytes);
// Surrogates become U+FFFD.
[[nodiscard]] std::string to_utf8(std::u32string_view text);

[[nodiscard]] bool is_white_space(char32_t one);
[[nodiscard]] bool is_decimal_digit(char32_t one);  // of any script

// Normalization form C, in time that grows with the text alone, however many marks follow each other.
[[nodiscard]] std::u32string composed(std::u32string_view text);

}  // namespace kiln::lane
