#include "cache_store/store_folders.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "cache_store/disk_store.h"

namespace kiln::cache {
namespace {

constexpr std::uint32_t kFolderMode = 0700;
constexpr std::uint32_t kFileMode = 0600;
// A name carries its format's version: a later version makes new folders beside these.
constexpr std::array<std::string_view, 5> kFolders{"cas.v1", "keys.v1", "pins.v1", "tmp.v1", "quarantine.v1"};

Status gone(Status removed) {
  return removed || removed.error().code == ErrorCode::kNotFound ? Status() : removed;
}

}  // namespace

Status StoreFolders::create() {
  for (const std::string_view name : kFolders) {
    KILN_TRY(files_.make_directory(root_ + "/" + std::string(name), kFolderMode));
  }
  return files_.sync_directory(root_);
}

std::string StoreFolders::blob_path(const Digest& digest) const {
  const std::string hex = digest.hex();
  return root_ + "/cas.v1/" + hex.substr(0, 2) + "/" + hex;
}

Status StoreFolders::write_durable(const std::string& path, std::span<const std::byte> bytes) {
  const std::string temp = temp_folder() + "/" + random_temp_name();
  const auto write_temp = [&]() -> Status {
    KILN_TRY_ASSIGN(auto file, files_.create_exclusive(temp, kFileMode));
    KILN_TRY(file->append(bytes));
    KILN_TRY(file->sync());
    return file->close();
  };
  Status written = write_temp();
  if (written) written = files_.rename(temp, path);
  if (!written) {
    // Best effort; the next start sweeps what stays.
    [[maybe_unused]] const Status removed = files_.remove_file(temp);
    return written;
  }
  return files_.sync_directory(parent_directory(path));
}

Status StoreFolders::write_blob(const Digest& digest, std::span<const std::byte> bytes) {
  const std::string path = blob_path(digest);
  KILN_TRY(files_.make_directory(parent_directory(path), kFolderMode));
  // Always: the folder may be there without having reached the disk.
  KILN_TRY(files_.sync_directory(root_ + "/cas.v1"));
  return write_durable(path, bytes);
}

Status StoreFolders::write_key(const Digest& key, std::span<const std::byte> envelope) {
  return write_durable(key_path(key), envelope);
}

Status StoreFolders::make_blob_durable(const Digest& digest) {
  const std::string path = blob_path(digest);
  KILN_TRY(files_.sync_file(path));
  KILN_TRY(files_.sync_directory(parent_directory(path)));
  return files_.sync_directory(root_ + "/cas.v1");
}

Status StoreFolders::make_key_durable(const Digest& key) {
  KILN_TRY(files_.sync_file(key_path(key)));
  return files_.sync_directory(root_ + "/keys.v1");
}

Result<bool> StoreFolders::quarantine(const std::string& path) {
  const std::string name = path.substr(path.find_last_of('/') + 1);
  const std::string suffix = random_temp_name().substr(0, 8);
  const Status moved = files_.rename(path, quarantine_folder() + "/" + name + "." + suffix);
  if (!moved && moved.error().code == ErrorCode::kNotFound) return false;
  KILN_TRY(moved);
  KILN_TRY(trim_quarantine());
  return true;
}

Status StoreFolders::trim_quarantine() {
  KILN_TRY_ASSIGN(const auto names, files_.list(quarantine_folder()));
  struct Entry {
    std::int64_t modified_ns;
    std::string path;
    std::uint64_t size_bytes;
  };
  std::vector<Entry> entries;
  std::uint64_t total_bytes = 0;
  for (const std::string& name : names) {
    const std::string path = quarantine_folder() + "/" + name;
    KILN_TRY_ASSIGN(const FileInfo info, files_.stat(path));
    entries.push_back({info.modified_ns, path, info.size_bytes});
    total_bytes += info.size_bytes;
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.modified_ns, a.path) < std::pair(b.modified_ns, b.path);
  });
  std::size_t count = entries.size();
  for (const Entry& entry : entries) {
    if (count <= kQuarantineFilesMax && total_bytes <= kQuarantineBytesMax) break;
    KILN_TRY(files_.remove_file(entry.path));
    ++quarantine_dropped_;
    --count;
    total_bytes -= entry.size_bytes;
  }
  return {};
}

Status StoreFolders::install_blob(const std::string& temp, const Digest& digest) {
  const std::string path = blob_path(digest);
  KILN_TRY(files_.make_directory(parent_directory(path), kFolderMode));
  KILN_TRY(files_.sync_directory(root_ + "/cas.v1"));
  KILN_TRY(files_.rename(temp, path));
  return files_.sync_directory(parent_directory(path));
}

Status StoreFolders::remove_blob(const Digest& digest) { return gone(files_.remove_file(blob_path(digest))); }
Status StoreFolders::remove_key(const Digest& key) { return gone(files_.remove_file(key_path(key))); }

Status StoreFolders::write_pin(const std::string& owner, const Digest& digest) {
  auto file = files_.create_exclusive(pin_path(owner, digest), kFileMode);
  if (!file && file.error().code == ErrorCode::kAlreadyExists) return {};
  if (!file) return fail(file.error());
  return (*file)->close();
}

Status StoreFolders::remove_pin(const std::string& owner, const Digest& digest) {
  return gone(files_.remove_file(pin_path(owner, digest)));
}

Status StoreFolders::list_into(const std::string& folder, std::vector<FolderEntry>& entries) {
  KILN_TRY_ASSIGN(const auto names, files_.list(folder));
  for (const std::string& name : names) {
    const auto digest = Digest::from_hex(name);
    if (!digest) continue;
    KILN_TRY_ASSIGN(const FileInfo info, files_.stat(folder + "/" + name));
    entries.push_back({*digest, info.size_bytes, info.modified_ns});
  }
  return {};
}

Result<std::vector<FolderEntry>> StoreFolders::list_keys() {
  std::vector<FolderEntry> entries;
  KILN_TRY(list_into(root_ + "/keys.v1", entries));
  return entries;
}

Result<std::vector<FolderEntry>> StoreFolders::list_blobs() {
  std::vector<FolderEntry> entries;
  KILN_TRY_ASSIGN(const auto prefixes, files_.list(root_ + "/cas.v1"));
  for (const std::string& prefix : prefixes) {
    const std::string folder = root_ + "/cas.v1/" + prefix;
    KILN_TRY_ASSIGN(const FileInfo info, files_.stat(folder));
    if (info.is_directory) KILN_TRY(list_into(folder, entries));
  }
  return entries;
}

Result<std::vector<std::pair<std::string, Digest>>> StoreFolders::list_pins() {
  std::vector<std::pair<std::string, Digest>> pins;
  KILN_TRY_ASSIGN(const auto names, files_.list(root_ + "/pins.v1"));
  for (const std::string& name : names) {
    const auto at = name.find('@');
    if (at == std::string::npos) continue;
    if (const auto digest = Digest::from_hex(name.substr(at + 1))) pins.emplace_back(name.substr(0, at), *digest);
  }
  return pins;
}

}  // namespace kiln::cache
