#include "lane/text/character_references.h"

#include <algorithm>
#include <array>
#include <optional>

#include "lane/text/prompt_tables.h"

namespace kiln::lane {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kCodePointMax = 0x10FFFF;
constexpr std::size_t kNameCharsMax = 32;       // HTML's longest, its semicolon included
constexpr std::size_t kPlainNameCharsMax = 24;  // ftfy's

// Numbers of C1 control characters are those of Windows-1252; where that has none they stay.
constexpr std::array<char32_t, 32> kFromC1 = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
    0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

bool is_digit(char32_t one) { return one >= U'0' && one <= U'9'; }
bool is_letter(char32_t one) { return (one >= U'a' && one <= U'z') || (one >= U'A' && one <= U'Z'); }

// The value as a hexadecimal digit, or 16.
char32_t hex_value(char32_t one) {
  if (is_digit(one)) return one - U'0';
  const char32_t lower = one | 0x20U;
  return lower >= U'a' && lower <= U'f' ? lower - U'a' + 10 : 16;
}

// What HTML makes of a number: often, for those that are no text, nothing.
std::u32string character(char32_t number) {
  if (number == 0 || number > kCodePointMax || (number >= 0xD800 && number <= 0xDFFF)) return {kReplacement};
  if (number >= 0x80 && number <= 0x9F) return {kFromC1[number - 0x80]};
  const bool control = (number < 0x20 && number != 0x09 && number != 0x0A && number != 0x0C && number != 0x0D) || number == 0x7F;
  const bool no_character = (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFEU) == 0xFFFE;
  return control || no_character ? std::u32string() : std::u32string{number};
}

const Entity* find_entity(std::u32string_view name) {
  if (name.size() > kNameCharsMax || !std::all_of(name.begin(), name.end(), [](char32_t one) { return one < 0x80; })) return nullptr;
  const std::string narrow(name.begin(), name.end());
  const auto all = entities();
  const auto found = std::lower_bound(all.begin(), all.end(), narrow, [](const Entity& a, const std::string& b) { return a.name < b; });
  return found != all.end() && found->name == narrow ? &*found : nullptr;
}

struct Reference {
  std::size_t length;  // of what it replaces, behind the '&'
  std::u32string text;
};

// `rest` begins with '#'.
std::optional<Reference> number_reference(std::u32string_view rest) {
  const bool hexadecimal = rest.size() > 1 && (rest[1] == U'x' || rest[1] == U'X');
  const char32_t base = hexadecimal ? 16 : 10;
  const std::size_t begin = hexadecimal ? 2 : 1;
  std::size_t at = begin;
  char32_t number = 0;
  for (; at < rest.size() && hex_value(rest[at]) < base; ++at) {
    number = std::min<char32_t>(number * base + hex_value(rest[at]), kCodePointMax + 1);
  }
  if (at == begin) return std::nullopt;
  if (at < rest.size() && rest[at] == U';') ++at;
  return Reference{at, character(number)};
}

bool ends_name(char32_t one) {
  return one == U'\t' || one == U'\n' || one == U'\f' || one == U' ' || one == U'<' || one == U'&' || one == U'#' || one == U';';
}

std::optional<Reference> named_reference(std::u32string_view rest) {
  const auto* end = std::find_if(rest.data(), rest.data() + std::min(rest.size(), kNameCharsMax), ends_name);
  std::u32string_view name = rest.substr(0, static_cast<std::size_t>(end - rest.data()));
  if (name.empty()) return std::nullopt;
  if (name.size() < rest.size() && rest[name.size()] == U';') name = rest.substr(0, name.size() + 1);
  const Entity* whole = find_entity(name);
  if (whole != nullptr && whole->standard) return Reference{name.size(), std::u32string(whole->text)};
  for (std::size_t length = name.size() - 1; length > 1; --length) {
    const Entity* found = find_entity(name.substr(0, length));
    if (found != nullptr && found->standard) return Reference{length, std::u32string(found->text)};
  }
  return std::nullopt;
}

std::optional<Reference> html_reference(std::u32string_view rest) {
  return !rest.empty() && rest[0] == U'#' ? number_reference(rest) : named_reference(rest);
}

std::optional<Reference> plain_reference(std::u32string_view rest) {
  const std::size_t begin = !rest.empty() && rest[0] == U'#' ? 1 : 0;
  std::size_t end = begin;
  while (end < rest.size() && end - begin <= kPlainNameCharsMax && (is_digit(rest[end]) || is_letter(rest[end]))) ++end;
  if (end == begin || end - begin > kPlainNameCharsMax || end == rest.size() || rest[end] != U';') return std::nullopt;
  const std::u32string_view name = rest.substr(0, end + 1);
  if (begin == 0) {
    const Entity* found = find_entity(name);
    return found == nullptr ? std::nullopt : std::optional(Reference{name.size(), std::u32string(found->text)});
  }
  const auto number = number_reference(name);
  // A reference to a semicolon stays, as ftfy takes it for one that was not read to its end.
  return number && number->length == name.size() && number->text != U";" ? number : std::nullopt;
}

template <typename Read>
std::u32string unescape(std::u32string_view text, Read read) {
  std::u32string plain;
  plain.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t next = std::min(text.find(U'&', at), text.size());
    plain.append(text.substr(at, next - at));
    at = next;
    if (at == text.size()) break;
    const std::optional<Reference> found = read(text.substr(at + 1));
    if (found) plain.append(found->text);
    if (!found) plain.push_back(U'&');
    at += 1 + (found ? found->length : 0);
  }
  return plain;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) { return unescape(text, html_reference); }
std::u32string unescape_plain_references(std::u32string_view text) { return unescape(text, plain_reference); }

}  // namespace kiln::lane
