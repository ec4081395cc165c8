// Logging goes to stderr through spdlog; spdlog's headers stay in log.cc.
#pragma once

#include <fmt/core.h>

#include <string_view>

namespace kiln::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Call once, in main. `program` ("kiln", "lane 2") is in every line.
void set_up(std::string_view program, Level level);
void set_level(Level level);
[[nodiscard]] Level level_from_name(std::string_view name);  // "debug", "warning", "error"; else info
void write(Level level, std::string_view text);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace kiln::log
