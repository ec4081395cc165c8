// Sealed memory files: bytes that nobody can change any more, handed between processes by descriptor.
// What is verified is then exactly what is used; there is no file that could change in between.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace kiln {

// Copies `bytes` into a memfd and seals it against writing, growing, shrinking and unsealing.
[[nodiscard]] Result<UniqueFd> make_sealed(std::string_view name, std::span<const std::byte> bytes);
[[nodiscard]] Result<UniqueFd> make_sealed_from_fd(std::string_view name, int source_fd);
// Error unless all four seals are set.
[[nodiscard]] Status require_sealed(int fd);

// Read-only mapping of a whole descriptor; unmaps itself. Valid while it lives, wherever it is moved.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();
  [[nodiscard]] static Result<Mapping> map(int fd);
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(data_), size_};
  }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace kiln
