// Whose artifacts the farm loads: the signing keys of all workers that were ever let in. A file in the state folder, so
// that what a worker made is still of use when it is gone; the store reads the same file.
#pragma once

#include <string>
#include <string_view>

#include "base/file_system.h"
#include "cache_store/trusted_keys.h"

namespace kiln::coordinator {

// One owner thread.
class KeyRegister {
 public:
  // Exit code 78: the file is there and is no list of keys.
  [[nodiscard]] static Result<KeyRegister> open(FileSystem& files, const std::string& path);

  // A key as text (hex). What is known already changes nothing; a new one is in the file when this returns.
  [[nodiscard]] Status add(std::string_view hex);
  [[nodiscard]] std::string text() const { return keys_.to_text(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  KeyRegister(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}
  [[nodiscard]] Status write() const;
  FileSystem* files_;
  std::string path_;
  cache::TrustedKeys keys_;
};

}  // namespace kiln::coordinator
