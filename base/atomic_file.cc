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

constexpr std::size_t kTempNameDigits = 32;
constexpr std::string_view kTempSuffix = ".tmp";

}  // namespace

bool is_temp_name(std::string_view name) {
  return name.size() == kTempNameDigits + kTempSuffix.size() && name.ends_with(kTempSuffix) &&
         name.find_first_not_of("0123456789abcdef") == kTempNameDigits;
}

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

Result<std::uint64_t> sweep_temp_files(FileSystem& files, const std::string& folder) {
  KILN_TRY_ASSIGN(const auto names, files.list(folder));
  std::uint64_t swept = 0;
  for (const std::string& name : names) {
    if (!is_temp_name(name)) continue;
    KILN_TRY(files.remove_file(folder + "/" + name));
    ++swept;
  }
  return swept;
}

}  // namespace kiln
