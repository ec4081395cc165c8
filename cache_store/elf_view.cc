#include "cache_store/elf_view.h"

namespace kiln::cache {
namespace {

constexpr std::size_t kProgramHeadersMax = 64;
constexpr std::size_t kDynamicEntriesMax = 512;

Error not_a_library(std::string_view why) { return input_refused("not a library for this kind of machine: {}", why); }

Status check_header(const Elf64_Ehdr& header) {
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return fail(not_a_library("no ELF file"));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_ident[EI_VERSION] != EV_CURRENT || header.e_machine != EM_X86_64) {
    return fail(not_a_library("not 64-bit x86-64"));
  }
  if (header.e_ident[EI_OSABI] != ELFOSABI_NONE && header.e_ident[EI_OSABI] != ELFOSABI_GNU) {
    return fail(not_a_library("made for another system"));
  }
  if (header.e_type != ET_DYN) return fail(not_a_library("no shared object"));
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > kProgramHeadersMax) {
    return fail(not_a_library("its program headers are malformed"));
  }
  return {};
}

bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t total) {
  return offset <= total && size <= total - offset;
}

}  // namespace

Result<ElfView> ElfView::open(std::span<const std::byte> bytes) {
  const auto header = read<Elf64_Ehdr>(bytes, 0);
  if (!header) return fail(not_a_library("too short"));
  KILN_TRY(check_header(*header));
  ElfView view;
  view.bytes_ = bytes;
  view.header_table_offset_ = header->e_phoff;
  if (!fits(header->e_phoff, std::uint64_t{header->e_phnum} * sizeof(Elf64_Phdr), bytes.size())) {
    return fail(not_a_library("truncated"));
  }
  for (std::size_t i = 0; i < header->e_phnum; ++i) {
    const auto entry = read<Elf64_Phdr>(bytes, view.header_offset(i));
    if (!entry || !fits(entry->p_offset, entry->p_filesz, bytes.size())) {
      return fail(not_a_library("truncated: a segment lies outside the file"));
    }
    view.headers_.push_back(*entry);
  }
  return view;
}

std::uint64_t ElfView::header_offset(std::size_t index) const {
  return header_table_offset_ + index * sizeof(Elf64_Phdr);
}

std::optional<std::span<const std::byte>> ElfView::at_address(std::uint64_t address, std::uint64_t size) const {
  for (const Elf64_Phdr& header : headers_) {
    if (header.p_type != PT_LOAD || address < header.p_vaddr) continue;
    const std::uint64_t inside = address - header.p_vaddr;
    if (!fits(inside, size, header.p_filesz)) continue;
    return bytes_.subspan(header.p_offset + inside, size);
  }
  return std::nullopt;
}

Result<std::vector<Elf64_Dyn>> ElfView::dynamic_entries() const {
  const Elf64_Phdr* dynamic = nullptr;
  for (const Elf64_Phdr& header : headers_) {
    if (header.p_type != PT_DYNAMIC) continue;
    if (dynamic != nullptr) return fail(not_a_library("two dynamic sections"));
    dynamic = &header;
  }
  if (dynamic == nullptr) return fail(not_a_library("no dynamic section"));
  // By address, as the loader reads it, and not by p_offset.
  const auto section = at_address(dynamic->p_vaddr, dynamic->p_filesz);
  if (!section) return fail(not_a_library("its dynamic section is not loaded"));
  std::vector<Elf64_Dyn> entries;
  for (std::uint64_t offset = 0;; offset += sizeof(Elf64_Dyn)) {
    const auto entry = read<Elf64_Dyn>(*section, offset);
    if (!entry || entries.size() == kDynamicEntriesMax) return fail(not_a_library("its dynamic section has no end"));
    if (entry->d_tag == DT_NULL) return entries;
    entries.push_back(*entry);
  }
}

std::optional<std::string_view> zero_terminated(std::span<const std::byte> table, std::uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const std::string_view rest(reinterpret_cast<const char*>(table.data()) + offset, table.size() - offset);
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  return rest.substr(0, end);
}

}  // namespace kiln::cache
