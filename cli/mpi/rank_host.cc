#include "cli/mpi/rank_host.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/fd.h"

namespace kiln::cli {
namespace {

constexpr std::uint16_t kPortFirst = 20'000;
constexpr std::uint16_t kPorts = 12'000;  // Linux hands out 32768 and more
constexpr int kPortTries = 200;
constexpr std::size_t kCpusMax = 8'192;
constexpr std::uint16_t kAnyPort = 9;  // of a host that is never spoken to

using CpuSet = std::array<std::uint8_t, kCpusMax / 8>;
cpu_set_t* as_cpu_set(CpuSet& set) { return reinterpret_cast<cpu_set_t*>(set.data()); }

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> resolve(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &wanted, &found);
  if (code == 0) return AddressList(found, &::freeaddrinfo);
  return fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable,
                         "{} of another rank is not known here ({}); name this host's address with --address", host,
                         ::gai_strerror(code)));
}

std::string text_of(const sockaddr_in& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return text.data();
}

bool can_bind(const sockaddr_in& address) {
  const UniqueFd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.valid() && ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return {};
  return host.data();
}

void undo_default_binding() {
  if (std::getenv("OMPI_MCA_orte_bound_at_launch") == nullptr) return;
  for (const char* wish : {"OMPI_MCA_hwloc_base_binding_policy", "OMPI_MCA_rmaps_base_mapping_policy",
                           "OMPI_MCA_rmaps_base_cpus_per_rank", "OMPI_MCA_hwloc_base_cpu_list"}) {
    if (std::getenv(wish) != nullptr) return;
  }
  CpuSet all;
  all.fill(0xff);
  (void)::sched_setaffinity(0, all.size(), as_cpu_set(all));  // the kernel leaves out what is not ours
}

std::string cpu_mask() {
  CpuSet set{};
  if (::sched_getaffinity(0, set.size(), as_cpu_set(set)) != 0) return "?";
  std::string text;
  for (auto byte = set.rbegin(); byte != set.rend(); ++byte) {
    if (*byte == 0 && text.empty()) continue;
    text += fmt::format("{:02x}", *byte);
  }
  return text;
}

Result<std::string> address_towards(const std::string& host) {
  KILN_TRY_ASSIGN(const AddressList found, resolve(host));
  for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) {
    sockaddr_in there = *reinterpret_cast<const sockaddr_in*>(one->ai_addr);
    there.sin_port = htons(kAnyPort);
    const UniqueFd probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!probe.valid() || ::connect(probe.get(), reinterpret_cast<sockaddr*>(&there), sizeof there) != 0) continue;
    sockaddr_in here{};
    socklen_t bytes = sizeof here;
    if (::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&here), &bytes) != 0) continue;
    if ((ntohl(here.sin_addr.s_addr) >> 24U) == IN_LOOPBACKNET) continue;  // the other's name means this host, here
    return text_of(here);
  }
  return fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable,
                         "no way to {} from here; name this host's address with --address", host));
}

Result<std::uint16_t> free_port(const std::string& address) {
  sockaddr_in wanted{};
  wanted.sin_family = AF_INET;
  if (::inet_pton(AF_INET, address.c_str(), &wanted.sin_addr) != 1) {
    return fail(bad_config("--address: '{}' is no IPv4 address", address));
  }
  for (int i = 0; i < kPortTries; ++i) {
    std::uint16_t random = 0;
    if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail(errno_error(errno, "getrandom"));
    const auto port = static_cast<std::uint16_t>(kPortFirst + random % kPorts);
    wanted.sin_port = htons(port);
    if (can_bind(wanted)) return port;
  }
  return fail(make_error(ErrorCode::kUnavailable, ExitCode::kTryAgain, "{}: no free port, or it is not this host's",
                         address));
}

}  // namespace kiln::cli
