// HTML's character references in a text: "&amp;" becomes "&".
#pragma once

#include <string>
#include <string_view>

namespace kiln::lane {

// By HTML5's rules for text, as Python's html.unescape: also without the semicolon where HTML allows that, and the longest
// name that a run of characters begins with.
[[nodiscard]] std::u32string unescape_html(std::u32string_view text);

// As ftfy's unescape_html: those alone that end in a semicolon and are nothing else, and some names in capitals.
[[nodiscard]] std::u32string unescape_plain_references(std::u32string_view text);

}  // namespace kiln::lane
