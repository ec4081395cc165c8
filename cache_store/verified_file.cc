#include "cache_store/verified_file.h"

#include "base/file_system.h"
#include "base/sealed_file.h"

namespace kiln::cache {

Result<UniqueFd> load_sealed_verified(const std::string& path, const Digest& expected) {
  auto file = posix_file_system().open_for_read(path);
  if (!file && file.error().code == ErrorCode::kNotFound) {
    return fail(input_missing("{} is not there: import the package again", path));
  }
  if (!file) return fail(input_refused("{}: cannot be read", file.error().message));
  KILN_TRY_ASSIGN(UniqueFd copy, make_sealed_from_fd("package-file", file->get()));
  KILN_TRY_ASSIGN(const Digest actual, sha256_of_fd(copy.get()));
  if (actual != expected) {
    return fail(input_refused("{} was changed after its package was made (SHA-256 {}, the manifest says {}): "
                              "import the package again",
                              path, actual.hex(), expected.hex()));
  }
  return copy;
}

}  // namespace kiln::cache
