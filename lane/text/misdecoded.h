// Text that was read in a wrong encoding: "cafÃ©" for "café".
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace kiln::lane {

// Where ftfy's heuristic (`is_bad`) first finds such text: behind its last character. The expression is ftfy's own, so that
// nothing which ftfy would mend is missed; not all that it finds can be mended.
[[nodiscard]] std::optional<std::size_t> find_misdecoded(std::u32string_view line);

}  // namespace kiln::lane
