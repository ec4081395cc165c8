#include "base/sealed_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace kiln {
namespace {

constexpr int kAllSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

Result<UniqueFd> new_memfd(std::string_view name) {
  UniqueFd fd(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return fail(errno_error(errno, "memfd_create"));
  return fd;
}

Status seal(int fd) {
  if (::fcntl(fd, F_ADD_SEALS, kAllSeals) != 0) return fail(errno_error(errno, "F_ADD_SEALS"));
  return {};
}

}  // namespace

Result<UniqueFd> make_sealed(std::string_view name, std::span<const std::byte> bytes) {
  KILN_TRY_ASSIGN(UniqueFd fd, new_memfd(name));
  KILN_TRY(write_fully(fd.get(), bytes));
  KILN_TRY(seal(fd.get()));
  return fd;
}

Result<UniqueFd> make_sealed_from_fd(std::string_view name, int source_fd) {
  KILN_TRY_ASSIGN(UniqueFd fd, new_memfd(name));
  std::vector<std::byte> buffer(1U << 20U);
  off_t offset = 0;
  while (true) {
    const ssize_t n = ::pread(source_fd, buffer.data(), buffer.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "pread"));
    if (n == 0) break;
    KILN_TRY(write_fully(fd.get(), std::span(buffer).first(static_cast<std::size_t>(n))));
    offset += n;
  }
  KILN_TRY(seal(fd.get()));
  return fd;
}

Status require_sealed(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kAllSeals) != kAllSeals) {
    return fail(make_error(ErrorCode::kPermissionDenied, "descriptor {} is not a sealed memory file", fd));
  }
  return {};
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

Result<Mapping> Mapping::map(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail(errno_error(errno, "fstat"));
  Mapping mapping;
  mapping.size_ = static_cast<std::size_t>(info.st_size);
  if (mapping.size_ == 0) return mapping;
  void* address = ::mmap(nullptr, mapping.size_, PROT_READ, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    mapping.size_ = 0;
    return fail(errno_error(errno, "mmap"));
  }
  mapping.data_ = static_cast<const std::byte*>(address);
  return mapping;
}

}  // namespace kiln
