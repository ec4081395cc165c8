// The folders of a store on disk, and the two moves that everything else is made of: a file that appears
// whole and durable, and a file that goes into quarantine. No locks here: DiskStore calls under its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/sha256.h"

namespace kiln::cache {

struct FolderEntry {
  Digest name;
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;
};

class StoreFolders {
 public:
  StoreFolders(FileSystem& files, std::string root) : files_(files), root_(std::move(root)) {}

  // Makes what is missing. Called once, before anything else.
  [[nodiscard]] Status create();

  [[nodiscard]] std::string blob_path(const Digest& digest) const;
  [[nodiscard]] std::string key_path(const Digest& key) const { return root_ + "/keys.v1/" + key.hex(); }
  [[nodiscard]] std::string temp_folder() const { return root_ + "/tmp.v1"; }
  [[nodiscard]] std::string quarantine_folder() const { return root_ + "/quarantine.v1"; }

  // Temp file, fsync, rename, fsync of the folder. After an error the name is not there, or holds all bytes.
  [[nodiscard]] Status write_blob(const Digest& digest, std::span<const std::byte> bytes);
  [[nodiscard]] Status write_key(const Digest& key, std::span<const std::byte> envelope);
  // A file that an earlier process renamed into place may not have reached the disk with its name:
  // whoever acknowledges it again makes sure first.
  [[nodiscard]] Status make_blob_durable(const Digest& digest);
  [[nodiscard]] Status make_key_durable(const Digest& key);

  // A file of this folder's temp folder takes a blob's name: its bytes are synced already.
  [[nodiscard]] Status install_blob(const std::string& temp, const Digest& digest);
  // Gone is gone: no error where the file is not there.
  [[nodiscard]] Status remove_blob(const Digest& digest);
  [[nodiscard]] Status remove_key(const Digest& key);
  [[nodiscard]] Status sync_keys() { return files_.sync_directory(root_ + "/keys.v1"); }

  // A pin is an empty file named <owner>@<digest>; durable after sync_pins().
  [[nodiscard]] Status write_pin(const std::string& owner, const Digest& digest);
  [[nodiscard]] Status remove_pin(const std::string& owner, const Digest& digest);
  [[nodiscard]] Status sync_pins() { return files_.sync_directory(root_ + "/pins.v1"); }

  // What is there now; names that are none of ours are passed over.
  [[nodiscard]] Result<std::vector<FolderEntry>> list_blobs();
  [[nodiscard]] Result<std::vector<FolderEntry>> list_keys();
  [[nodiscard]] Result<std::vector<std::pair<std::string, Digest>>> list_pins();

  // Moves the file away; false when somebody else did. Keeps the quarantine within its bounds.
  [[nodiscard]] Result<bool> quarantine(const std::string& path);
  [[nodiscard]] std::uint64_t quarantine_dropped() const { return quarantine_dropped_; }  // oldest ones, to keep the bounds

 private:
  [[nodiscard]] Status write_durable(const std::string& path, std::span<const std::byte> bytes);
  [[nodiscard]] Status trim_quarantine();
  [[nodiscard]] std::string pin_path(const std::string& owner, const Digest& digest) const {
    return root_ + "/pins.v1/" + owner + "@" + digest.hex();
  }
  [[nodiscard]] Status list_into(const std::string& folder, std::vector<FolderEntry>& entries);

  FileSystem& files_;
  std::string root_;
  std::atomic<std::uint64_t> quarantine_dropped_ = 0;
};

}  // namespace kiln::cache
