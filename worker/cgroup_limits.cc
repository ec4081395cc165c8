#include "worker/cgroup_limits.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/text.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kProbeFileBytesMax = 1U << 20U;
// Version 1 has no word for "no limit", but a number that no machine has bytes for.
constexpr std::uint64_t kNoMemoryLimit = 1ULL << 60U;

std::string text_of(const std::string& path) {
  auto text = read_file(path, kProbeFileBytesMax);
  return text ? *text : std::string();
}

// Nothing: no number stands there, as in "max" and in -1.
std::optional<std::uint64_t> number_of(std::string_view text) {
  text = trim(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool lists(std::string_view names, std::string_view name) {
  const auto parts = split(names, ',');
  return std::find(parts.begin(), parts.end(), name) != parts.end();
}

struct Mount {
  bool version_2 = false;
  std::string root;   // the group that is seen at `folder`
  std::string folder;
};

// "36 31 0:33 / /sys/fs/cgroup/cpu rw shared:7 - cgroup cgroup rw,cpu": where the groups of that controller are to be seen.
std::vector<Mount> mounts_of(std::string_view mountinfo, std::string_view controller) {
  std::vector<Mount> out;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto where = split(line.substr(0, dash), ' ');
    const auto what = split(line.substr(dash + 3), ' ');
    if (where.size() < 6 || what.size() < 3) continue;
    const bool version_2 = what[0] == "cgroup2";
    if (!version_2 && (what[0] != "cgroup" || !lists(what[2], controller))) continue;
    out.push_back({version_2, std::string(where[3]), std::string(where[4])});
  }
  return out;
}

// Lines "0::/a/b" and "3:cpu,cpuacct:/a/b": which group of that hierarchy this process is in.
std::string own_group(std::string_view cgroup, bool version_2, std::string_view controller) {
  for (const std::string_view line : split(cgroup, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (version_2 ? controllers.empty() : lists(controllers, controller)) return std::string(line.substr(second + 1));
  }
  return "/";
}

// From its own group up to the highest that is seen here. A process may be in one that is not: then that highest alone.
std::vector<std::string> folders_of(const Mount& mount, std::string group) {
  const std::string above = mount.root == "/" ? std::string() : mount.root;
  if (!group.starts_with(above) || group.find("/..") != std::string::npos) group = above;
  std::string below = group.substr(above.size());
  while (below.ends_with('/')) below.pop_back();
  std::vector<std::string> out;
  for (;; below.resize(below.rfind('/'))) {
    out.push_back(mount.folder + below);
    if (below.rfind('/') == std::string::npos) break;
  }
  return out;
}

// Nothing: no quota.
std::optional<unsigned> quota_cores(const std::string& folder, bool version_2) {
  std::string quota_text;
  std::string period_text;
  if (version_2) {
    const std::string text = text_of(folder + "/cpu.max");  // "max 100000" or "150000 100000"
    const auto parts = split(trim(text), ' ');
    if (parts.size() != 2) return std::nullopt;
    quota_text = parts[0];
    period_text = parts[1];
  } else {
    quota_text = text_of(folder + "/cpu.cfs_quota_us");
    period_text = text_of(folder + "/cpu.cfs_period_us");
  }
  const auto quota = number_of(quota_text);
  const auto period = number_of(period_text);
  if (!quota || !period || *period == 0) return std::nullopt;
  const std::uint64_t whole = *quota / *period + (*quota % *period == 0 ? 0U : 1U);
  return static_cast<unsigned>(std::clamp<std::uint64_t>(whole, 1, std::numeric_limits<unsigned>::max()));
}

// Pages of files that nobody has used of late give way when memory is wanted.
std::uint64_t reclaimable_bytes(const std::string& folder, std::string_view name) {
  const std::string text = text_of(folder + "/memory.stat");
  for (const std::string_view line : split(text, '\n')) {
    const auto parts = split(trim(line), ' ');
    if (parts.size() == 2 && parts[0] == name) return number_of(parts[1]).value_or(0);
  }
  return 0;
}

void add_memory(const std::string& folder, bool version_2, CgroupLimits& out) {
  const auto limit = number_of(text_of(folder + (version_2 ? "/memory.max" : "/memory.limit_in_bytes")));
  if (!limit || *limit == 0 || *limit >= kNoMemoryLimit) return;
  const std::uint64_t charged =
      number_of(text_of(folder + (version_2 ? "/memory.current" : "/memory.usage_in_bytes"))).value_or(0);
  const std::uint64_t gives_way = reclaimable_bytes(folder, version_2 ? "inactive_file" : "total_inactive_file");
  const std::uint64_t used = charged - std::min(charged, gives_way);
  const std::uint64_t available = *limit - std::min(*limit, used);
  const bool is_first = out.memory_bytes == 0;
  out.memory_bytes = is_first ? *limit : std::min(out.memory_bytes, *limit);
  out.memory_available_bytes = is_first ? available : std::min(out.memory_available_bytes, available);
}

}  // namespace

CgroupLimits probe_cgroups(const std::string& root) {
  const std::string mountinfo = text_of(root + "/proc/self/mountinfo");
  const std::string cgroup = text_of(root + "/proc/self/cgroup");
  CgroupLimits out;
  for (const Mount& mount : mounts_of(mountinfo, "cpu")) {
    for (const std::string& folder : folders_of(mount, own_group(cgroup, mount.version_2, "cpu"))) {
      const auto cores = quota_cores(root + folder, mount.version_2);
      if (!cores || (out.cores != 0 && *cores > out.cores)) continue;  // of equal ones the highest: more share it
      out.cores = *cores;
      out.cores_group = folder;
    }
  }
  for (const Mount& mount : mounts_of(mountinfo, "memory")) {
    for (const std::string& folder : folders_of(mount, own_group(cgroup, mount.version_2, "memory"))) {
      add_memory(root + folder, mount.version_2, out);
    }
  }
  return out;
}

}  // namespace kiln::worker
