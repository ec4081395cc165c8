#include "cache_store/artifact_file_check.h"

#include <elf.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <random>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "cache_store/library_intake.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;
using test::bytes_of;

std::string sample_path() { return std::string(std::getenv("KILN_BINARY_DIR")) + "/tests/libkiln_elf_sample.so"; }

// A library's bytes with typed access to headers and dynamic entries, for changing one thing at a time.
class Patch {
 public:
  Patch() : bytes(*read_file(sample_path(), 16U << 20U)) {}

  Elf64_Ehdr& header() { return *reinterpret_cast<Elf64_Ehdr*>(bytes.data()); }
  Elf64_Phdr* segment(Elf64_Word type) {
    auto* table = reinterpret_cast<Elf64_Phdr*>(bytes.data() + header().e_phoff);
    for (int i = 0; i < header().e_phnum; ++i) {
      if (table[i].p_type == type) return &table[i];
    }
    return nullptr;
  }
  Elf64_Dyn* dynamic(Elf64_Sxword tag) {
    auto* entry = reinterpret_cast<Elf64_Dyn*>(bytes.data() + segment(PT_DYNAMIC)->p_offset);
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == tag) return entry;
    }
    return nullptr;
  }
  // Turns an entry that the loader can do without into another one.
  void replace_entry(Elf64_Sxword tag, Elf64_Xword value) {
    Elf64_Dyn* entry = dynamic(DT_RELACOUNT);
    if (entry == nullptr) entry = dynamic(DT_RELAENT);
    ASSERT_NE(entry, nullptr);
    entry->d_tag = tag;
    entry->d_un.d_val = value;
  }
  [[nodiscard]] Result<ArtifactFileReport> check() const { return check_artifact_file(bytes_of(bytes)); }

  std::string bytes;
};

std::string refusal(const std::function<void(Patch&)>& change) {
  Patch patch;
  change(patch);
  const auto report = patch.check();
  if (report) return "accepted";
  EXPECT_EQ(exit_code(report.error()), 65);
  return report.error().message;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(ArtifactFileCheckTest, ReportsWhatAPlainLibraryNeeds) {
  const auto report = Patch().check();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->needed.empty());
  EXPECT_GE(report->glibc_needed, (SymbolVersion{{2, 2, 5}}));
  EXPECT_GE(report->glibcxx_needed, (SymbolVersion{{3, 4, 0}}));
  EXPECT_TRUE(check_symbol_versions(*report, running_glibc(), running_libstdcxx()));
}

TEST(ArtifactFileCheckTest, RefusesAnExecutableStackAndClearsIt) {
  Patch patch;
  patch.segment(PT_GNU_STACK)->p_flags |= PF_X;
  ASSERT_FALSE(patch.check());
  EXPECT_TRUE(contains(patch.check().error().message, "executable stack"));
  EXPECT_TRUE(*clear_executable_stack(std::as_writable_bytes(std::span(patch.bytes))));
  EXPECT_TRUE(patch.check());
  EXPECT_EQ(patch.bytes, Patch().bytes) << "nothing else was touched";
  EXPECT_FALSE(*clear_executable_stack(std::as_writable_bytes(std::span(patch.bytes))));
}

TEST(ArtifactFileCheckTest, RefusesALibraryThatDoesNotNameItsStack) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.segment(PT_GNU_STACK)->p_type = PT_NOTE; }), "stack"));
}

TEST(ArtifactFileCheckTest, RefusesNeededLibrariesOffTheList) {
  const std::string why = refusal([](Patch& p) {
    const std::size_t at = p.bytes.find("libstdc++.so.6");
    p.bytes.replace(at, 14, "libevil\n.so.66");
  });
  EXPECT_TRUE(contains(why, "'libevil?.so.66'")) << why;
}

TEST(ArtifactFileCheckTest, RefusesNeededNamesWithAPath) {
  const std::string why =
      refusal([](Patch& p) { p.bytes.replace(p.bytes.find("libstdc++.so.6"), 14, "/tmp/lib/xx.so"); });
  EXPECT_TRUE(contains(why, "needs the library")) << why;
}

TEST(ArtifactFileCheckTest, AllowListHoldsWhatTorchBringsAndNothingAlike) {
  for (const char* good : {"libtorch.so", "libtorch_cpu.so", "libtorch_cuda.so", "libc10.so", "libc10_cuda.so",
                           "libgomp.so.1", "libgomp-24e2ab19.so.1.0.0", "libstdc++.so.6", "libc.so.6"}) {
    EXPECT_TRUE(library_is_allowed(good)) << good;
  }
  for (const char* bad : {"", "libtorch.so.evil", "libgomp-.so.1", "libgomp-../x.so.1", "libgomp-12", "libgomp-zz.so.1",
                          "./libc.so.6", "libpython3.11.so.1.0", "LIBC.SO.6"}) {
    EXPECT_FALSE(library_is_allowed(bad)) << bad;
  }
}

TEST(ArtifactFileCheckTest, RefusesSearchPathsFiltersAndAudits) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_RPATH, 1); }), "search path"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_RUNPATH, 1); }), "search path"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_FILTER, 1); }), "filter"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_AUXILIARY, 1); }), "filter"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_AUDIT, 1); }), "audit"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_DEPAUDIT, 1); }), "audit"));
}

TEST(ArtifactFileCheckTest, RefusesTextRelocations) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_TEXTREL, 0); }), "text relocations"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_FLAGS, DF_TEXTREL); }), "text relocations"));
}

TEST(ArtifactFileCheckTest, RefusesASecondTableOfNames) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.replace_entry(DT_STRTAB, 64); }), "twice"));
}

TEST(ArtifactFileCheckTest, RefusesAnInterpreter) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.segment(PT_GNU_STACK)->p_type = PT_INTERP; }), "interpreter"));
}

TEST(ArtifactFileCheckTest, RefusesSegmentsThatAreWritableAndExecutable) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.segment(PT_LOAD)->p_flags = PF_R | PF_W | PF_X; }), "both"));
}

TEST(ArtifactFileCheckTest, RefusesOverlappingSegments) {
  // The loader lays later segments over earlier ones: what we read would not be what it reads.
  const std::string why = refusal([](Patch& p) { p.segment(PT_LOAD)->p_memsz = 1ULL << 40U; });
  EXPECT_TRUE(contains(why, "overlap")) << why;
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.segment(PT_LOAD)->p_memsz = ~0ULL; }), "overlap"));
}

TEST(ArtifactFileCheckTest, RefusesOtherMachinesAndKindsOfFile) {
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.header().e_machine = EM_AARCH64; }), "x86-64"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.header().e_ident[EI_CLASS] = ELFCLASS32; }), "x86-64"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.header().e_type = ET_EXEC; }), "shared object"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.header().e_type = ET_REL; }), "shared object"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.bytes = "PK\x03\x04 an archive"; }), "too short"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.bytes.replace(0, 4, "PK\x03\x04"); }), "no ELF"));
  EXPECT_TRUE(contains(refusal([](Patch& p) { p.bytes.clear(); }), "too short"));
}

TEST(ArtifactFileCheckTest, RefusesAnyTruncationOfWhatIsLoaded) {
  const std::string whole = Patch().bytes;
  const Elf64_Phdr dynamic = *Patch().segment(PT_DYNAMIC);
  for (std::size_t size = 0; size < dynamic.p_offset + dynamic.p_filesz; size += 37) {
    EXPECT_FALSE(check_artifact_file(bytes_of(whole.substr(0, size)))) << size;
  }
}

TEST(ArtifactFileCheckTest, RefusesANewerLibc) {
  ArtifactFileReport report;
  report.glibc_needed = {{2, 38, 0}};
  const Status old = check_symbol_versions(report, {{2, 36, 0}}, SymbolVersion{{3, 4, 30}});
  ASSERT_FALSE(old);
  EXPECT_TRUE(contains(old.error().message, "needs glibc 2.38, and this machine has 2.36"));
  EXPECT_TRUE(check_symbol_versions(report, {{2, 38, 0}}, SymbolVersion{{3, 4, 30}}));
  report.glibcxx_needed = {{3, 4, 32}};
  EXPECT_FALSE(check_symbol_versions(report, {{2, 39, 0}}, SymbolVersion{{3, 4, 30}}));
}

// Run under the sanitizers this also shows that nothing outside the bytes is read.
TEST(ArtifactFileCheckTest, AnyBytesAreAnsweredWithoutACrash) {
  const std::string whole = Patch().bytes;
  const std::size_t head = 64 + 56 * 12;  // header and program headers: where a change matters most
  const Elf64_Phdr dynamic = *Patch().segment(PT_DYNAMIC);
  std::mt19937_64 random(11);
  int accepted = 0;
  for (int i = 0; i < 30000; ++i) {
    std::string bytes = whole;
    for (std::uint64_t n = 0; n <= random() % 4; ++n) {
      const bool in_head = random() % 2 == 0;
      const std::size_t at = in_head ? random() % head : dynamic.p_offset + random() % dynamic.p_filesz;
      bytes[at] = static_cast<char>(random());
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    const auto writable = std::as_writable_bytes(std::span(bytes));
    if (check_artifact_file(writable)) ++accepted;
    (void)clear_executable_stack(writable);
  }
  for (int i = 0; i < 2000; ++i) {
    std::string noise(random() % 4096, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    EXPECT_FALSE(check_artifact_file(bytes_of(noise)));
  }
  EXPECT_LT(accepted, 30000);
}

TEST(LibraryIntakeTest, ClearsTheStackFlagAndHandsOutSealedCheckedBytes) {
  const TempFolder folder;
  Patch patch;
  const std::string clean = patch.bytes;
  patch.segment(PT_GNU_STACK)->p_flags |= PF_X;
  ASSERT_TRUE(write_file_atomic(folder / "m.so", patch.bytes));
  const auto intake = take_in_library(folder / "m.so");
  ASSERT_TRUE(intake) << intake.error().message;
  EXPECT_TRUE(intake->stack_flag_cleared);
  EXPECT_TRUE(require_sealed(intake->content.get()));
  EXPECT_EQ(test::text_of(intake->content.get()), clean);
  EXPECT_EQ(intake->sha256, sha256(clean));
  EXPECT_EQ(intake->size_bytes, clean.size());
}

TEST(LibraryIntakeTest, NamesTheFileThatItRefuses) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "m.so", "#!/bin/sh"));
  const auto intake = take_in_library(folder / "m.so");
  ASSERT_FALSE(intake);
  EXPECT_TRUE(contains(intake.error().message, folder / "m.so"));
  EXPECT_FALSE(take_in_library(folder / "none.so"));
}

// Against what the loader itself says: the newest version resolves, and nothing newer is in the file.
TEST(RunningLibrariesTest, VersionsAreThoseOfTheLoadedLibraries) {
  const SymbolVersion glibcxx = running_libstdcxx();
  EXPECT_GE(glibcxx, (SymbolVersion{{3, 4, 30}})) << glibcxx.text();
  Dl_info where{};
  ASSERT_NE(::dladdr(reinterpret_cast<const void*>(&std::terminate), &where), 0);
  const std::string bytes = read_file(where.dli_fname, 64U << 20U).value();
  EXPECT_NE(bytes.find("GLIBCXX_" + glibcxx.text() + '\0'), std::string::npos) << glibcxx.text();
  SymbolVersion next = glibcxx;
  next.part[2] += 1;
  EXPECT_EQ(bytes.find("GLIBCXX_" + next.text() + '\0'), std::string::npos) << next.text();
  EXPECT_GE(running_glibc(), (SymbolVersion{{2, 36, 0}}));
}

}  // namespace
}  // namespace kiln::cache
