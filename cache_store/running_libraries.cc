// Which glibc and libstdc++ this process runs with: a library that needs newer ones cannot be opened here.
#include <elf.h>
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <link.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "cache_store/artifact_file_check.h"

namespace kiln::cache {
namespace {

constexpr std::string_view kVersionPrefix = "GLIBCXX_";

SymbolVersion parse_version(std::string_view text) {
  SymbolVersion version;
  for (unsigned& part : version.part) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part);
    if (error != std::errc()) break;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty()) text.remove_prefix(1);
  }
  return version;
}

// The loader has made some of these addresses absolute and left others relative to the library.
const char* absolute(ElfW(Addr) base, ElfW(Addr) address) {
  return reinterpret_cast<const char*>(address < base ? base + address : address);
}

struct VersionDefinitions {
  const char* first = nullptr;
  const char* strings = nullptr;
  std::size_t count = 0;
};

VersionDefinitions find_definitions(const dl_phdr_info& library) {
  VersionDefinitions found;
  for (int i = 0; i < library.dlpi_phnum; ++i) {
    if (library.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(library.dlpi_addr + library.dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_VERDEF) found.first = absolute(library.dlpi_addr, entry->d_un.d_ptr);
      if (entry->d_tag == DT_STRTAB) found.strings = absolute(library.dlpi_addr, entry->d_un.d_ptr);
      if (entry->d_tag == DT_VERDEFNUM) found.count = entry->d_un.d_val;
    }
  }
  return found;
}

int note_newest(dl_phdr_info* library, std::size_t, void* result) {
  if (std::string_view(library->dlpi_name).find("libstdc++.so") == std::string_view::npos) return 0;
  const VersionDefinitions definitions = find_definitions(*library);
  if (definitions.first == nullptr || definitions.strings == nullptr) return 0;
  auto& newest = *static_cast<SymbolVersion*>(result);
  const char* at = definitions.first;
  for (std::size_t i = 0; i < definitions.count; ++i) {
    ElfW(Verdef) definition;
    std::memcpy(&definition, at, sizeof definition);
    ElfW(Verdaux) name;
    std::memcpy(&name, at + definition.vd_aux, sizeof name);
    const std::string_view text = definitions.strings + name.vda_name;
    if (text.starts_with(kVersionPrefix)) newest = std::max(newest, parse_version(text.substr(kVersionPrefix.size())));
    at += definition.vd_next;
  }
  return 1;
}

}  // namespace

SymbolVersion running_glibc() { return parse_version(gnu_get_libc_version()); }

SymbolVersion running_libstdcxx() {
  SymbolVersion newest;
  ::dl_iterate_phdr(note_newest, &newest);
  return newest;
}

}  // namespace kiln::cache
