// The part of a shared library that the dynamic loader acts on, seen as the loader sees it: program headers
// and what their addresses reach, never section headers, which a file may lie in.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kiln::cache {

class ElfView {
 public:
  // Checks the header and that all program headers lie inside the file. Borrows `bytes`.
  [[nodiscard]] static Result<ElfView> open(std::span<const std::byte> bytes);

  [[nodiscard]] const std::vector<Elf64_Phdr>& program_headers() const { return headers_; }
  // File offset of program header `index`, for changing it in place.
  [[nodiscard]] std::uint64_t header_offset(std::size_t index) const;
  // PT_DYNAMIC's entries up to DT_NULL; refused when there is none, or two, or no end.
  [[nodiscard]] Result<std::vector<Elf64_Dyn>> dynamic_entries() const;
  // File bytes behind [address, address + size); empty optional when a PT_LOAD's file part does not hold them.
  [[nodiscard]] std::optional<std::span<const std::byte>> at_address(std::uint64_t address,
                                                                     std::uint64_t size) const;

  // A copy of the T at `offset` of `bytes`; files are not aligned.
  template <typename T>
  [[nodiscard]] static std::optional<T> read(std::span<const std::byte> bytes, std::uint64_t offset) {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  std::uint64_t header_table_offset_ = 0;
  std::vector<Elf64_Phdr> headers_;
};

// Text at `offset` up to its zero byte; nullopt when it does not end inside `table`.
[[nodiscard]] std::optional<std::string_view> zero_terminated(std::span<const std::byte> table,
                                                              std::uint64_t offset);

}  // namespace kiln::cache
