// The folders of a store on disk, and the two moves that everything else is made of: a file that appears
// whole and durable, and a file that goes into quarantine. No locks here: DiskStore calls under its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/file_system.h"
#include "base/sha256.h"

namespace kiln::cache {

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

  // Moves the file away; false when somebody else did. Keeps the quarantine within its bounds.
  [[nodiscard]] Result<bool> quarantine(const std::string& path);
  [[nodiscard]] Result<std::uint64_t> used_bytes();

 private:
  [[nodiscard]] Status write_durable(const std::string& path, std::span<const std::byte> bytes);
  [[nodiscard]] Status trim_quarantine();
  [[nodiscard]] Result<std::uint64_t> bytes_in(const std::string& folder);

  FileSystem& files_;
  std::string root_;
};

}  // namespace kiln::cache
