#include "base/atomic_file.h"

namespace kiln {
namespace {

Status write_synced(FileSystem& files, const std::string& path, std::span<const std::byte> bytes,
                    std::uint32_t mode) {
  KILN_TRY_ASSIGN(auto file, files.create_exclusive(path, mode));
  KILN_TRY(file->append(bytes));
  KILN_TRY(file->sync());
  return file->close();
}

}  // namespace

Status write_file_atomic(FileSystem& files, const std::string& path, std::span<const std::byte> bytes,
                         std::uint32_t mode) {
  const std::string folder = parent_directory(path);
  const std::string temp = folder + "/" + random_temp_name();
  Status written = write_synced(files, temp, bytes, mode);
  if (written) written = files.rename(temp, path);
  if (!written) {
    // Best effort: the error that matters is the first one.
    [[maybe_unused]] const Status removed = files.remove_file(temp);
    return written;
  }
  return files.sync_directory(folder);
}

Status write_file_atomic(const std::string& path, std::string_view text, std::uint32_t mode) {
  return write_file_atomic(posix_file_system(), path, std::as_bytes(std::span(text)), mode);
}

}  // namespace kiln
