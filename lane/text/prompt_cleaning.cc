#include "lane/text/prompt_cleaning.h"

#include <algorithm>
#include <utility>

#include "lane/text/character_references.h"
#include "lane/text/misdecoded.h"
#include "lane/text/prompt_tables.h"
#include "lane/text/unicode.h"

namespace kiln::lane {
namespace {

constexpr std::size_t kPieceCharsMax = 1'000'000;  // ftfy takes a longer line in pieces
constexpr std::size_t kShownCharsMax = 12;
constexpr char32_t kEscape = 0x1B;

std::u32string with_replacements(std::u32string_view text) {
  const auto all = replacements();
  std::u32string plain;
  plain.reserve(text.size());
  for (const char32_t one : text) {
    const auto found = one < all.front().from ? all.end()
                                              : std::lower_bound(all.begin(), all.end(), one,
                                                                 [](const Replacement& a, char32_t c) { return a.from < c; });
    if (found == all.end() || found->from != one) {
      plain.push_back(one);
    } else {
      plain.append(found->to);
    }
  }
  return plain;
}

bool is_line_end(char32_t one) { return one == U'\r' || one == 0x2028 || one == 0x2029 || one == 0x85; }

std::u32string with_plain_line_ends(std::u32string_view text) {
  std::u32string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == U'\r' && at + 1 < text.size() && text[at + 1] == U'\n') continue;
    plain.push_back(is_line_end(text[at]) ? U'\n' : text[at]);
  }
  return plain;
}

std::u32string with_surrogates_joined(std::u32string_view text) {
  std::u32string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char32_t one = text[at];
    const char32_t next = at + 1 < text.size() ? text[at + 1] : 0;
    if (one >= 0xD800 && one <= 0xDBFF && next >= 0xDC00 && next <= 0xDFFF) {
      plain.push_back(0x10000U + ((one - 0xD800U) << 10U) + (next - 0xDC00U));
      ++at;
    } else {
      plain.push_back(one >= 0xD800 && one <= 0xDFFF ? char32_t{0xFFFD} : one);
    }
  }
  return plain;
}

// The length of the terminal's escape sequence, such as "\033[1;31m", that `text` begins with; or 0.
std::size_t escape_length(std::u32string_view text) {
  if (text.size() < 3 || text[0] != kEscape || text[1] != U'[') return 0;
  std::size_t at = 2;
  while (at < text.size() && (text[at] == U';' || is_decimal_digit(text[at]))) ++at;
  const char32_t last = at < text.size() ? text[at] | 0x20U : 0;
  return last >= U'a' && last <= U'z' ? at + 1 : 0;
}

bool is_control(char32_t one) {
  return one < 0x09 || one == 0x0B || (one >= 0x0E && one < 0x20) || one == 0x7F || (one >= 0x206A && one <= 0x206F) ||
         one == 0xFEFF || (one >= 0xFFF9 && one <= 0xFFFC);
}

// Also without control characters, which an escape sequence begins with.
std::u32string without_escapes(std::u32string_view text) {
  std::u32string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::size_t length = escape_length(text.substr(at));
    if (length == 0 && !is_control(text[at])) plain.push_back(text[at]);
    if (length > 0) at += length - 1;
  }
  return plain;
}

std::string misdecoded_warning(std::u32string_view line, std::size_t end) {
  std::u32string shown(line.substr(end - std::min(end, kShownCharsMax), kShownCharsMax));
  for (char32_t& one : shown) one = one < 0x20 || (one >= 0x7F && one < 0xA0) ? char32_t{0xFFFD} : one;
  return fmt::format("the prompt looks as if it had been read in a wrong encoding, at '{}': it stays as it is, where diffusers may mend it",
                     to_utf8(shown));
}

// ftfy's steps, until they change nothing.
Result<std::u32string> clean_piece(std::u32string piece, bool with_references, std::string& warning) {
  for (int pass = 0; pass < kCleaningPassesMax; ++pass) {
    std::u32string next = with_references ? unescape_plain_references(piece) : piece;
    if (const auto end = find_misdecoded(next); end && warning.empty()) warning = misdecoded_warning(next, *end);
    next = with_surrogates_joined(with_plain_line_ends(with_replacements(next)));
    next = composed(without_escapes(next));
    if (next == piece) return piece;
    piece = std::move(next);
  }
  return fail(input_refused("a prompt's character references ('&amp;amp;') lie in each other more than {} deep", kCleaningPassesMax));
}

Result<std::u32string> clean_lines(std::u32string_view text, std::string& warning) {
  std::u32string clean;
  bool with_references = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t line_end = std::min(text.find(U'\n', at), text.size() - 1) + 1;
    const std::u32string_view piece = text.substr(at, std::min(line_end - at, kPieceCharsMax));
    // What has a tag is HTML and keeps its references; so do the lines behind it.
    with_references = with_references && piece.find(U'<') == std::u32string_view::npos;
    KILN_TRY_ASSIGN(const std::u32string done, clean_piece(std::u32string(piece), with_references, warning));
    clean.append(done);
    at += piece.size();
  }
  return clean;
}

std::u32string with_single_spaces(std::u32string_view text) {
  std::u32string plain;
  plain.reserve(text.size());
  bool space = false;
  for (const char32_t one : text) {
    if (is_white_space(one)) {
      space = true;
      continue;
    }
    if (space && !plain.empty()) plain.push_back(U' ');
    space = false;
    plain.push_back(one);
  }
  return plain;
}

}  // namespace

Result<CleanPrompt> clean_prompt(std::string_view prompt) {
  if (prompt.size() > kPromptTextBytesMax) {
    return fail(make_error(ErrorCode::kInvalidArgument, "a prompt of {} bytes: at most {}", prompt.size(), kPromptTextBytesMax));
  }
  auto text = from_utf8(prompt);
  if (!text) return fail(text.error().with_context("prompt"));
  CleanPrompt clean;
  KILN_TRY_ASSIGN(const std::u32string fixed, clean_lines(*text, clean.warning));
  clean.text = to_utf8(with_single_spaces(unescape_html(unescape_html(fixed))));
  return clean;
}

}  // namespace kiln::lane
