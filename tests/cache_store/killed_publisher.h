// What store_kill_test and the process that it kills agree on.
#pragma once

#include <fmt/core.h>

#include <string>

namespace kiln::cache::test {

// Long enough for several writes of the kernel; differs by key and by the run that built it.
inline std::string built_content(const std::string& name, int run) {
  std::string content = fmt::format("artifact {} of run {};", name, run);
  while (content.size() < 20'000) content += content;
  return content;
}

inline std::string key_name(int index) { return fmt::format("k{}", index); }

}  // namespace kiln::cache::test
