#include "coordinator/key_register.h"

#include "base/fd.h"

namespace kiln::coordinator {
namespace {

constexpr std::uint64_t kFileBytesMax = 4U << 20U;
constexpr std::uint32_t kFileMode = 0600;

}  // namespace

Result<KeyRegister> KeyRegister::open(FileSystem& files, const std::string& path) {
  KeyRegister out(files, path);
  auto text = read_file(path, kFileBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) {
    KILN_TRY(out.write());
    return out;
  }
  if (!text) return fail(text.error());
  auto keys = cache::TrustedKeys::parse(*text);
  if (!keys) return fail(bad_config("{}: {}", path, keys.error().message));
  out.keys_ = std::move(*keys);
  return out;
}

Status KeyRegister::add(std::string_view hex) {
  KILN_TRY_ASSIGN(const cache::PublicKey key, cache::PublicKey::from_hex(hex));
  if (keys_.find(key.id()) != nullptr) return {};
  keys_.trust(key);
  return write();
}

Status KeyRegister::write() const {
  const std::string temporary = parent_directory(path_) + "/" + random_temp_name();
  KILN_TRY_ASSIGN(auto file, files_->create_exclusive(temporary, kFileMode));
  const std::string text = keys_.to_text();
  KILN_TRY(file->append(std::as_bytes(std::span(text))));
  KILN_TRY(file->sync());
  KILN_TRY(file->close());
  KILN_TRY(files_->rename(temporary, path_));
  return files_->sync_directory(parent_directory(path_));
}

}  // namespace kiln::coordinator
