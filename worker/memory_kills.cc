#include "worker/memory_kills.h"

#include <charconv>

#include "base/fd.h"
#include "base/text.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kCountsBytesMax = 1U << 20U;

std::uint64_t count_in(const char* path) {
  const auto text = read_file(path, kCountsBytesMax);
  return text ? parse_kill_count(*text) : 0;
}

}  // namespace

std::uint64_t parse_kill_count(std::string_view text) {
  constexpr std::string_view kName = "oom_kill ";
  for (const auto line : split(text, '\n')) {
    if (!line.starts_with(kName)) continue;
    std::uint64_t value = 0;
    const std::string_view digits = line.substr(kName.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() ? value : 0;
  }
  return 0;
}

MemoryKills read_memory_kills() { return {count_in("/proc/vmstat"), count_in("/sys/fs/cgroup/memory.events")}; }

}  // namespace kiln::worker
