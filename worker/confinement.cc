#include "worker/confinement.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace kiln::worker {
namespace {

// Landlock's interface, which is younger than the kernel headers that we build with.
constexpr long kLandlockCreateRuleset = 444;
constexpr long kLandlockAddRule = 445;
constexpr long kLandlockRestrictSelf = 446;
constexpr unsigned kLandlockVersionQuery = 1;
constexpr int kLandlockRulePathBeneath = 1;
struct LandlockRuleset {
  std::uint64_t fs;
  std::uint64_t net;
  std::uint64_t scoped;
};
struct [[gnu::packed]] LandlockPath {
  std::uint64_t allowed;
  std::int32_t parent_fd;
};
constexpr std::uint64_t kFsExecute = 1U << 0U;
constexpr std::uint64_t kFsWriteFile = 1U << 1U;
constexpr std::uint64_t kFsReadFile = 1U << 2U;
constexpr std::uint64_t kFsReadDir = 1U << 3U;
constexpr std::uint64_t kFsTruncate = 1U << 14U;
constexpr std::uint64_t kFsIoctlDevice = 1U << 15U;
constexpr std::uint64_t kFsOnFiles = kFsExecute | kFsWriteFile | kFsReadFile | kFsTruncate | kFsIoctlDevice;
constexpr std::uint64_t kFsRead = kFsExecute | kFsReadFile | kFsReadDir;
constexpr int kRulesetFdMin = 100;
constexpr std::uint64_t kNetAll = 0x3;     // bind and connect of TCP
constexpr std::uint64_t kScopedAll = 0x3;  // abstract sockets and signals

constexpr std::array<const char*, 17> kSystemReadable{
    "/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/proc", "/sys/devices", "/sys/fs/cgroup", "/dev/urandom",
    "/dev/random", "/dev/zero", "/etc/ld.so.cache", "/etc/passwd", "/etc/localtime", "/etc/ssl/openssl.cnf",
    "/etc/alternatives"};

std::uint64_t fs_rights(long abi) {
  std::uint64_t rights = (1U << 13U) - 1;  // version 1: read, write, execute, make and remove
  if (abi >= 2) rights |= 1U << 13U;       // refer
  if (abi >= 3) rights |= kFsTruncate;
  if (abi >= 5) rights |= kFsIoctlDevice;
  return rights;
}

void allow(int ruleset, const std::string& path, std::uint64_t rights) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info{};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return;  // not on this system
  if (!S_ISDIR(info.st_mode)) rights &= kFsOnFiles;
  const LandlockPath rule{rights, fd.get()};
  ::syscall(kLandlockAddRule, ruleset, kLandlockRulePathBeneath, &rule, 0);
}

UniqueFd make_ruleset(const ConfinementFolders& folders) {
  const long abi = ::syscall(kLandlockCreateRuleset, nullptr, 0, kLandlockVersionQuery);
  if (abi < 1) return {};
  LandlockRuleset attributes{fs_rights(abi), abi >= 4 ? kNetAll : 0, abi >= 6 ? kScopedAll : 0};
  // Older kernels know a shorter structure and refuse what they do not know.
  const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  UniqueFd ruleset(static_cast<int>(::syscall(kLandlockCreateRuleset, &attributes, size, 0)));
  if (!ruleset.valid()) return {};
  for (const char* path : kSystemReadable) allow(ruleset.get(), path, kFsRead);
  for (const auto& path : folders.readable) allow(ruleset.get(), path, kFsRead);
  const std::uint64_t device_rights = (kFsReadFile | kFsWriteFile | kFsIoctlDevice) & attributes.fs;
  for (const auto& path : folders.devices) allow(ruleset.get(), path, device_rights);
  allow(ruleset.get(), "/dev/null", kFsReadFile | kFsWriteFile);
  allow(ruleset.get(), folders.writable, attributes.fs);
  // Out of the way of the low numbers where the child's descriptors are placed before it enters.
  return UniqueFd(::fcntl(ruleset.get(), F_DUPFD_CLOEXEC, kRulesetFdMin));
}

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif
constexpr std::uint32_t kX32Bit = 0x40000000U;

// No sockets of any family (a path socket is no file to Landlock), no tracing, no other way to submit I/O. With a card,
// AF_UNIX sockets that would first have to be connected.
bool restrict_system_calls(bool with_cards) {
  constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EACCES;
  constexpr std::uint32_t kSocketTypeMask = 0xF;
  const std::uint32_t own_family = with_cards ? AF_UNIX : AF_MAX;  // no socket is of AF_MAX
  std::array<sock_filter, 17> filter{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 11, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_connect, 10, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ptrace, 9, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_process_vm_readv, 8, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 7, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, own_family, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSocketTypeMask),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, kRefuse),
  }};
  const sock_fprog program{filter.size(), filter.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

struct Confinement::Shared {
  std::atomic<bool> namespaces{false};
  std::atomic<bool> system_calls{false};
  std::atomic<bool> files{false};
};

Result<Confinement> Confinement::prepare(const ConfinementFolders& folders) {
  Confinement confinement;
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail(errno_error(errno, "memory shared with the compile child"));
  confinement.shared_ = new (memory) Shared;
  confinement.ruleset_ = make_ruleset(folders);
  confinement.known_rights_ = fs_rights(::syscall(kLandlockCreateRuleset, nullptr, 0, kLandlockVersionQuery));
  confinement.with_cards_ = !folders.devices.empty();
  return confinement;
}

Confinement::Confinement(Confinement&& other) noexcept
    : ruleset_(std::move(other.ruleset_)),
      known_rights_(other.known_rights_),
      with_cards_(other.with_cards_),
      shared_(std::exchange(other.shared_, nullptr)) {}

Confinement& Confinement::operator=(Confinement&& other) noexcept {
  std::swap(ruleset_, other.ruleset_);
  std::swap(known_rights_, other.known_rights_);
  std::swap(with_cards_, other.with_cards_);
  std::swap(shared_, other.shared_);
  return *this;
}

Confinement::~Confinement() {
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

void Confinement::enter() const {
  // Of the child, not of us who prepared: C libraries name their threads through it.
  const int own = ruleset_.valid() ? ::open("/proc/self", O_PATH | O_CLOEXEC) : -1;
  if (own >= 0) {
    const LandlockPath rule{(kFsRead | kFsWriteFile | kFsTruncate) & known_rights_, own};
    ::syscall(kLandlockAddRule, ruleset_.get(), kLandlockRulePathBeneath, &rule, 0);
    ::close(own);
  }
  // Without privilege a network namespace needs a user namespace around it.
  shared_->namespaces = ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWNET) == 0;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  shared_->files = ruleset_.valid() && ::syscall(kLandlockRestrictSelf, ruleset_.get(), 0) == 0;
  shared_->system_calls = restrict_system_calls(with_cards_);
  // A change of credentials clears it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

bool Confinement::complete() const {
  return shared_->system_calls && shared_->files;  // without sockets, a namespace is a second wall
}

std::string Confinement::describe() const {
  const auto part = [](const char* name, bool works) {
    return std::string(works ? "" : "no ") + name;
  };
  return part("network namespace", shared_->namespaces) + ", " +
         part("system call filter", shared_->system_calls) + ", " + part("file rules", shared_->files);
}

}  // namespace kiln::worker
