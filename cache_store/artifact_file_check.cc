#include "cache_store/artifact_file_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cache_store/elf_view.h"

namespace kiln::cache {
namespace {

constexpr std::size_t kVersionRecordsMax = 4096;
constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kAddressMax = 1ULL << 47U;  // end of a process's half of x86-64's addresses
constexpr std::size_t kShownNameBytesMax = 80;

constexpr std::array<std::string_view, 18> kAllowedLibraries{
    "libtorch.so",     "libtorch_cpu.so", "libtorch_cuda.so", "libc10.so",       "libc10_cuda.so",
    "libgomp.so.1",    "libstdc++.so.6",  "libm.so.6",        "libmvec.so.1",    "libgcc_s.so.1",
    "libc.so.6",       "libpthread.so.0", "libdl.so.2",       "librt.so.1",      "ld-linux-x86-64.so.2",
    "libcuda.so.1",    "libcudart.so.12", "libcudart.so.13"};

Error refused(std::string_view why) { return input_refused("the library is refused: {}", why); }

// Segments in the order of their addresses, none on top of another: what an address means is then the same
// for us and for the loader.
Status check_segments(const ElfView& elf) {
  std::uint64_t end = 0;
  bool stack_is_named = false;
  for (const Elf64_Phdr& header : elf.program_headers()) {
    if (header.p_type == PT_INTERP) return fail(refused("it names an interpreter"));
    if (header.p_type == PT_GNU_STACK) {
      stack_is_named = true;
      if ((header.p_flags & PF_X) != 0) return fail(refused("it asks for an executable stack"));
    }
    if (header.p_type != PT_LOAD) continue;
    if ((header.p_flags & PF_W) != 0 && (header.p_flags & PF_X) != 0) {
      return fail(refused("a segment is both writable and executable"));
    }
    const std::uint64_t page_start = header.p_vaddr & ~(kPageBytes - 1);
    if (header.p_vaddr > kAddressMax || header.p_memsz > kAddressMax || page_start < end ||
        header.p_filesz > header.p_memsz || header.p_vaddr % kPageBytes != header.p_offset % kPageBytes) {
      return fail(refused("its segments overlap or are malformed"));
    }
    end = (header.p_vaddr + header.p_memsz + kPageBytes - 1) & ~(kPageBytes - 1);
  }
  // Without the entry, x86-64 means: executable.
  if (!stack_is_named) return fail(refused("it does not say that its stack is not executable"));
  return {};
}

std::string_view forbidden_entry(const Elf64_Dyn& entry) {
  switch (entry.d_tag) {
    case DT_RPATH:
    case DT_RUNPATH:
      return "it carries a library search path";
    case DT_TEXTREL:
      return "it has text relocations";
    case DT_FLAGS:
      return (entry.d_un.d_val & DF_TEXTREL) != 0 ? "it has text relocations" : "";
    case DT_AUXILIARY:
    case DT_FILTER:
      return "it names a filter library";
    case DT_AUDIT:
    case DT_DEPAUDIT:
      return "it names an audit library";
    case DT_CONFIG:
      return "it names a configuration file";
    case DT_PREINIT_ARRAY:
      return "it has pre-initialisers, which only a program may have";
    default:
      return "";
  }
}

struct DynamicFacts {
  std::vector<std::uint64_t> needed_offsets;
  std::optional<std::uint64_t> text_address;
  std::optional<std::uint64_t> text_bytes;
  std::optional<std::uint64_t> versions_address;
  std::uint64_t version_count = 0;
};

// A name out of an untrusted file, fit for a log line.
std::string printable(std::string_view name) {
  std::string out(name.substr(0, kShownNameBytesMax));
  std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

// One value for each tag that the loader takes one value of: the loader would use the last.
Status set_once(std::optional<std::uint64_t>& slot, std::uint64_t value) {
  if (slot) return fail(refused("its dynamic section says the same thing twice"));
  slot = value;
  return {};
}

Result<DynamicFacts> read_dynamic(const ElfView& elf) {
  KILN_TRY_ASSIGN(const auto entries, elf.dynamic_entries());
  DynamicFacts facts;
  for (const Elf64_Dyn& entry : entries) {
    if (const std::string_view why = forbidden_entry(entry); !why.empty()) return fail(refused(why));
    if (entry.d_tag == DT_NEEDED) facts.needed_offsets.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_STRTAB) KILN_TRY(set_once(facts.text_address, entry.d_un.d_ptr));
    if (entry.d_tag == DT_STRSZ) KILN_TRY(set_once(facts.text_bytes, entry.d_un.d_val));
    if (entry.d_tag == DT_VERNEED) KILN_TRY(set_once(facts.versions_address, entry.d_un.d_ptr));
    if (entry.d_tag == DT_VERNEEDNUM) facts.version_count = entry.d_un.d_val;
  }
  return facts;
}

Result<std::span<const std::byte>> text_table(const ElfView& elf, const DynamicFacts& facts) {
  if (!facts.text_address || !facts.text_bytes) return fail(refused("it has no table of names"));
  const auto table = elf.at_address(*facts.text_address, *facts.text_bytes);
  if (!table) return fail(refused("its table of names lies outside the file"));
  return *table;
}

// "GLIBC_2.38" with prefix "GLIBC_" raises `highest`; other names (GLIBC_PRIVATE, CXXABI_…) do not matter.
void note_version(std::string_view name, std::string_view prefix, SymbolVersion& highest) {
  if (!name.starts_with(prefix)) return;
  SymbolVersion version;
  const char* at = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  for (unsigned& part : version.part) {
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc()) return;
    if (next == end || *next != '.') break;
    at = next + 1;
  }
  highest = std::max(highest, version);
}

Status read_version_names(const ElfView& elf, const Elf64_Verneed& need, std::uint64_t address,
                          std::span<const std::byte> text, std::size_t& records, ArtifactFileReport& report) {
  for (unsigned i = 0; i < need.vn_cnt; ++i) {
    const auto bytes = elf.at_address(address, sizeof(Elf64_Vernaux));
    if (!bytes || ++records > kVersionRecordsMax) return fail(refused("its symbol versions are malformed"));
    const auto aux = *ElfView::read<Elf64_Vernaux>(*bytes, 0);
    const auto name = zero_terminated(text, aux.vna_name);
    if (!name) return fail(refused("its symbol versions are malformed"));
    note_version(*name, "GLIBC_", report.glibc_needed);
    note_version(*name, "GLIBCXX_", report.glibcxx_needed);
    address += aux.vna_next;
  }
  return {};
}

Status read_versions(const ElfView& elf, const DynamicFacts& facts, std::span<const std::byte> text,
                     ArtifactFileReport& report) {
  if (!facts.versions_address) return {};
  std::uint64_t address = *facts.versions_address;
  std::size_t records = 0;
  for (std::uint64_t i = 0; i < facts.version_count; ++i) {
    const auto bytes = elf.at_address(address, sizeof(Elf64_Verneed));
    if (!bytes || ++records > kVersionRecordsMax) return fail(refused("its symbol versions are malformed"));
    const auto need = *ElfView::read<Elf64_Verneed>(*bytes, 0);
    KILN_TRY(read_version_names(elf, need, address + need.vn_aux, text, records, report));
    address += need.vn_next;
  }
  return {};
}

}  // namespace

std::string SymbolVersion::text() const {
  if (part[0] == 0) return "";
  if (part[2] == 0) return fmt::format("{}.{}", part[0], part[1]);
  return fmt::format("{}.{}.{}", part[0], part[1], part[2]);
}

bool library_is_allowed(std::string_view soname) {
  if (std::find(kAllowedLibraries.begin(), kAllowedLibraries.end(), soname) != kAllowedLibraries.end()) return true;
  // Wheels carry their own OpenMP under a name with a hash: libgomp-24e2ab19.so.1.0.0.
  constexpr std::string_view kPrefix = "libgomp-";
  if (!soname.starts_with(kPrefix)) return false;
  const std::string_view rest = soname.substr(kPrefix.size());
  const std::size_t hash_end = rest.find_first_not_of("0123456789abcdef");
  if (hash_end == 0 || hash_end == std::string_view::npos) return false;
  const std::string_view ending = rest.substr(hash_end);
  return ending == ".so.1" || ending == ".so.1.0.0";
}

Result<ArtifactFileReport> check_artifact_file(std::span<const std::byte> library) {
  KILN_TRY_ASSIGN(const ElfView elf, ElfView::open(library));
  KILN_TRY(check_segments(elf));
  KILN_TRY_ASSIGN(const DynamicFacts facts, read_dynamic(elf));
  KILN_TRY_ASSIGN(const auto text, text_table(elf, facts));
  ArtifactFileReport report;
  for (const std::uint64_t offset : facts.needed_offsets) {
    const auto name = zero_terminated(text, offset);
    if (!name) return fail(refused("the name of a library that it needs lies outside the file"));
    if (!library_is_allowed(*name)) {
      return fail(refused(fmt::format("it needs the library '{}', which is not one of those that artifacts use",
                                      printable(*name))));
    }
    report.needed.emplace_back(*name);
  }
  KILN_TRY(read_versions(elf, facts, text, report));
  return report;
}

Result<bool> clear_executable_stack(std::span<std::byte> library) {
  KILN_TRY_ASSIGN(const ElfView elf, ElfView::open(library));
  bool was_set = false;
  for (std::size_t i = 0; i < elf.program_headers().size(); ++i) {
    Elf64_Phdr header = elf.program_headers()[i];
    if (header.p_type != PT_GNU_STACK || (header.p_flags & PF_X) == 0) continue;
    header.p_flags &= ~static_cast<Elf64_Word>(PF_X);
    std::memcpy(library.data() + elf.header_offset(i), &header, sizeof(header));
    was_set = true;
  }
  return was_set;
}

Status check_symbol_versions(const ArtifactFileReport& report, const SymbolVersion& glibc_here,
                             const SymbolVersion& glibcxx_here) {
  if (report.glibc_needed > glibc_here) {
    return fail(refused(fmt::format("it needs glibc {}, and this machine has {}: build it on the oldest system of "
                                    "the farm", report.glibc_needed.text(), glibc_here.text())));
  }
  if (report.glibcxx_needed > glibcxx_here) {
    return fail(refused(fmt::format("it needs libstdc++ with GLIBCXX_{}, and here it ends at {}: build it on the "
                                    "oldest system of the farm", report.glibcxx_needed.text(), glibcxx_here.text())));
  }
  return {};
}

}  // namespace kiln::cache
