// The one folder in which a compile child may write, under a name that Inductor can work with.
#pragma once

#include <string>

#include "base/result.h"

namespace kiln::worker {

// Move-only; while it lives, path() leads to the folder.
class WorkFolder {
 public:
  // Makes the folder, or empties it but for precompiled headers, which cost half a minute and depend on
  // toolchain and recipe alone.
  [[nodiscard]] static Result<WorkFolder> open(const std::string& folder);
  WorkFolder(WorkFolder&& other) noexcept;
  WorkFolder& operator=(WorkFolder&& other) noexcept;
  ~WorkFolder();

  // Absolute and without blanks or quotes, which Inductor's compiler command lines do not survive: a link in
  // the folder for temporary files where the real name has any.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  WorkFolder() = default;
  std::string path_;
  std::string link_;  // ours to remove; empty: none
};

}  // namespace kiln::worker
