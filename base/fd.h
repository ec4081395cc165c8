// Owned file descriptors, and reads and writes that finish or say why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"

namespace kiln {

// Move-only owner of one file descriptor; closes it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

// Close-on-exec pipe. `capacity_bytes` > 0 asks the kernel for that buffer (best effort).
[[nodiscard]] Result<Pipe> make_pipe(std::size_t capacity_bytes = 0);
[[nodiscard]] Result<UniqueFd> duplicate(int fd);

// Reads until `bytes` is full or end of file; returns how many were read.
[[nodiscard]] Result<std::size_t> read_fully(int fd, std::span<std::byte> bytes);
[[nodiscard]] Status write_fully(int fd, std::span<const std::byte> bytes);
// Whole file or stream as bytes; more than `max_bytes` is an error.
[[nodiscard]] Result<std::string> read_to_end(int fd, std::uint64_t max_bytes);
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::uint64_t max_bytes);

}  // namespace kiln
