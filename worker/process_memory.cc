#include "worker/process_memory.h"

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/text.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kProcFileBytesMax = 1U << 20U;

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// statm: total, resident, shared … in pages.
std::uint64_t resident_bytes(pid_t pid) {
  const auto text = read_file(fmt::format("/proc/{}/statm", pid), kProcFileBytesMax);
  if (!text) return 0;
  const auto fields = split(*text, ' ');
  return fields.size() < 2 ? 0 : number(fields[1]) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// stat: "PID (NAME) STATE …"; from the state on, fields 11 to 14 are ticks of it and of children that it waited for.
std::uint64_t cpu_ticks(pid_t pid) {
  constexpr std::size_t kFirst = 11;
  constexpr std::size_t kCount = 4;
  const auto text = read_file(fmt::format("/proc/{}/stat", pid), kProcFileBytesMax);
  const auto name_end = text ? text->rfind(") ") : std::string::npos;
  if (name_end == std::string::npos) return 0;
  const auto fields = split(std::string_view(*text).substr(name_end + 2), ' ');
  std::uint64_t ticks = 0;
  for (std::size_t i = kFirst; i < kFirst + kCount && i < fields.size(); ++i) ticks += number(fields[i]);
  return ticks;
}

void append_children(pid_t pid, std::vector<pid_t>& pids) {
  std::error_code error;
  std::filesystem::directory_iterator tasks(fmt::format("/proc/{}/task", pid), error);
  for (; !error && tasks != std::filesystem::directory_iterator(); tasks.increment(error)) {
    const auto text = read_file(tasks->path().string() + "/children", kProcFileBytesMax);
    if (!text) continue;
    for (const auto child : split(*text, ' ')) {
      if (!child.empty() && pids.size() < kWatchedProcessesMax) {
        pids.push_back(static_cast<pid_t>(number(child)));
      }
    }
  }
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  std::vector<pid_t> pids{root};
  for (std::size_t i = 0; i < pids.size(); ++i) append_children(pids[i], pids);  // grows while it is walked
  return pids;
}

TreeMemory memory_of_tree(pid_t root) {
  TreeMemory out;
  const std::vector<pid_t> pids = process_tree(root);
  for (const pid_t pid : pids) out.resident_bytes += resident_bytes(pid);
  out.whole = pids.size() < kWatchedProcessesMax;
  return out;
}

std::uint64_t cpu_ticks_of_tree(pid_t root) {
  std::uint64_t ticks = 0;
  for (const pid_t pid : process_tree(root)) ticks += cpu_ticks(pid);
  return ticks;
}

}  // namespace kiln::worker
