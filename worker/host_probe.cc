#include "worker/host_probe.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

#include "base/fd.h"
#include "base/process.h"
#include "base/sha256.h"
#include "base/text.h"
#include "worker/cgroup_limits.h"
#include "worker/compile_child.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kProbeFileBytesMax = 1U << 20U;
// What shapes code; python/kiln_compile/identity.py has the same list and makes the same hash.
constexpr std::array<std::string_view, 4> kRecipeFiles{"compiler.py", "program.py", "recipe.py", "include/nv/target"};
constexpr std::chrono::milliseconds kCompilerDeadline{10'000};
constexpr std::size_t kCoresNameDigits = 16;

std::optional<std::uint64_t> leading_number(std::string_view text) {
  text = trim(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// Value of "name: 123 kB" in /proc/meminfo.
std::uint64_t meminfo_bytes(std::string_view meminfo, std::string_view name) {
  for (const auto line : split(meminfo, '\n')) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    return leading_number(line.substr(name.size() + 1)).value_or(0) << 10U;
  }
  return 0;
}

std::string text_of(const std::string& path) {
  auto text = read_file(path, kProbeFileBytesMax);
  return text ? *text : std::string();
}

unsigned affinity_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
  return static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

unsigned quota_cores(unsigned cores, const CgroupLimits& limits) { return limits.cores == 0 ? cores : std::min(cores, limits.cores); }

// The text between quotes of a line like `git_version = '70d9…'`; empty for None or when absent.
std::string python_string(std::string_view source, std::string_view name) {
  for (const auto line : split(source, '\n')) {
    const std::string_view text = trim(line);
    if (!text.starts_with(name)) continue;
    const std::string_view rest = trim(text.substr(name.size()));
    if (!rest.starts_with('=') && !rest.starts_with(':')) continue;  // "cuda: Optional[str] = '13.0'" too
    const auto equals = rest.find('=');
    const auto open = rest.find('\'', equals);
    const auto close = open == std::string_view::npos ? open : rest.find('\'', open + 1);
    if (close != std::string_view::npos) return std::string(rest.substr(open + 1, close - open - 1));
  }
  return {};
}

Result<std::string> recipe_identity(const std::string& folder) {
  Sha256 hash;
  for (const std::string_view name : kRecipeFiles) {
    KILN_TRY_ASSIGN(const std::string text, read_file(fmt::format("{}/{}", folder, name), kProbeFileBytesMax));
    hash.update(fmt::format("{} {}\n", name, text.size()));
    hash.update(text);
  }
  return hash.finish().hex();
}

Result<std::string> compiler_identity(const std::string& compiler) {
  SpawnOptions options;
  options.argv = {"/usr/bin/env", fmt::format("PATH={}", kCompilerPath), compiler, "--version"};
  options.set_env = {{"LC_ALL", "C"}};
  auto output = run_command(options, kCompilerDeadline, kProbeFileBytesMax);
  if (!output || !output->status.ok()) {
    return fail(make_error(ErrorCode::kNotFound,
                           "no C++ compiler: '{} --version' does not run ({}); install g++ to compile models",
                           compiler, output ? output->status.describe() : output.error().message));
  }
  const auto lines = split(output->out, '\n');
  return std::string(lines.empty() ? std::string_view() : trim(lines.front()));
}

}  // namespace

sharding::IsaLevel host_isa_level() { return sharding::isa_level_of(read_cpuid()); }

HostResources probe_resources() {
  const CgroupLimits limits = probe_cgroups();
  HostResources resources;
  resources.cores = quota_cores(std::max(1U, affinity_cores()), limits);
  const std::string meminfo = text_of("/proc/meminfo");
  resources.memory_bytes = meminfo_bytes(meminfo, "MemTotal");
  resources.memory_available_bytes = meminfo_bytes(meminfo, "MemAvailable");
  if (limits.memory_bytes == 0) return resources;
  resources.memory_bytes = std::min(resources.memory_bytes, limits.memory_bytes);
  resources.memory_available_bytes = std::min(resources.memory_available_bytes, limits.memory_available_bytes);
  return resources;
}

std::string cores_name(std::string_view machine, const std::vector<int>& cores, std::string_view quota_group) {
  Sha256 hash;
  hash.update(fmt::format("{}:{}\n{}:{}\n", machine.size(), machine, quota_group.size(), quota_group));
  for (const int core : cores) hash.update(fmt::format("{} ", core));
  return hash.finish().hex().substr(0, kCoresNameDigits);
}

std::string probe_cores_name(const std::vector<int>& cores) {
  const std::string boot = text_of("/proc/sys/kernel/random/boot_id");  // also the same in all containers of a machine
  if (trim(boot).empty()) return {};
  const auto count = static_cast<unsigned>(cores.size());
  const CgroupLimits limits = probe_cgroups();
  if (quota_cores(count, limits) == count) return cores_name(trim(boot), cores, "");
  std::array<char, 64> seen{};  // in another container a folder of the same name is another group
  if (::readlink("/proc/self/ns/cgroup", seen.data(), seen.size() - 1) < 0) return {};
  return cores_name(trim(boot), cores, fmt::format("{} {}", seen.data(), limits.cores_group));
}

std::uint64_t compile_memory_limit_bytes(const HostResources& resources, std::uint64_t asked_bytes) {
  return resources.memory_bytes == 0 ? asked_bytes : std::min(asked_bytes, resources.memory_bytes / 2);
}

std::optional<std::string> torch_cuda(const std::string& torch_folder) {
  const auto version = read_file(torch_folder + "/version.py", kProbeFileBytesMax);
  if (!version) return std::nullopt;
  return python_string(*version, "cuda");
}

std::string torch_build(const std::string& torch_folder) {
  const auto version = read_file(torch_folder + "/version.py", kProbeFileBytesMax);
  if (!version) return {};
  return fmt::format("{} {}", python_string(*version, "__version__"), python_string(*version, "git_version"));
}

Result<sharding::Toolchain> probe_toolchain(const ToolchainFiles& files) {
  sharding::Toolchain toolchain;
  auto version = read_file(files.torch_folder + "/version.py", kProbeFileBytesMax);
  if (!version) {
    return fail(make_error(ErrorCode::kNotFound,
                           "no torch in '{}' ({}); name an interpreter that has it with --python",
                           files.torch_folder, version.error().message));
  }
  toolchain.torch_version = python_string(*version, "__version__");
  toolchain.torch_git = python_string(*version, "git_version");
  if (toolchain.torch_git.empty()) {
    return fail(make_error(ErrorCode::kFailedPrecondition, "'{}/version.py' names no git version of torch",
                           files.torch_folder));
  }
  KILN_TRY_ASSIGN(toolchain.recipe_sha256, recipe_identity(files.package_folder + "/kiln_compile"));
  KILN_TRY_ASSIGN(toolchain.compiler, compiler_identity(files.compiler));
  toolchain.libc = fmt::format("glibc {}", ::gnu_get_libc_version());
  if (!files.for_cards) return toolchain;
  toolchain.cuda = python_string(*version, "cuda");
  toolchain.triton = python_string(text_of(files.torch_folder + "/../triton/__init__.py"), "__version__");
  if (toolchain.cuda.empty() || toolchain.triton.empty()) {
    return fail(make_error(ErrorCode::kFailedPrecondition,
                           "'{}' is a torch without CUDA or without Triton, which compile for cards", files.torch_folder));
  }
  return toolchain;
}

}  // namespace kiln::worker
