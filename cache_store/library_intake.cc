#include "cache_store/library_intake.h"

#include <span>

#include "base/file_system.h"
#include "base/sealed_file.h"

namespace kiln::cache {

Result<LibraryIntake> take_in_library(const std::string& path) {
  KILN_TRY_ASSIGN(const UniqueFd file, posix_file_system().open_for_read(path));
  auto bytes = read_to_end(file.get(), kLibraryBytesMax);
  if (!bytes) return fail(bytes.error().with_context(path));
  const auto library = std::as_writable_bytes(std::span(*bytes));
  LibraryIntake intake;
  const auto named = [&](const Error& error) { return fail(error.with_context(path)); };
  auto cleared = clear_executable_stack(library);
  if (!cleared) return named(cleared.error());
  intake.stack_flag_cleared = *cleared;
  auto report = check_artifact_file(library);
  if (!report) return named(report.error());
  intake.report = std::move(*report);
  KILN_TRY_ASSIGN(intake.content, make_sealed("kiln-artifact", library));
  KILN_TRY_ASSIGN(intake.sha256, sha256_of_fd(intake.content.get()));
  intake.size_bytes = library.size();
  return intake;
}

}  // namespace kiln::cache
