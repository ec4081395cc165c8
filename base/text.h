// Small text functions: nearest names for typing errors, sizes and durations for people.
#pragma once

#include <cstdint>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

// The candidate with the smallest edit distance to `name`, if that is at most a third of its length
// (at least 1); empty when nothing is near.
[[nodiscard]] std::string nearest_name(std::string_view name, std::span<const std::string_view> candidates);
// " Did you mean 'x'?", or empty.
[[nodiscard]] std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
[[nodiscard]] std::string_view trim(std::string_view text);
// One line for people: no control characters.
[[nodiscard]] bool is_one_line(std::string_view text);
// The same with '?' for each control character: names of files may hold any.
[[nodiscard]] std::string one_line(std::string text);
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes);  // two lower-case digits for each
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);     // "2.4 MiB"
[[nodiscard]] std::string format_seconds(double seconds);        // "2:05", "1:02:05", "0.4 s" below 10 s

}  // namespace kiln
