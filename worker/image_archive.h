// The images of a joined sequence as one file, which is what the store holds: an archive that `tar` reads.
#pragma once

#include <string>

#include "base/result.h"

namespace kiln::worker {

inline constexpr std::uint64_t kArchivedFileBytesMax = 8ULL << 30U;  // eleven octal digits hold no more

// Writes the files of `folder`, by name, and nothing of this host: times, owners and modes are the same everywhere.
// A folder without files is an error.
[[nodiscard]] Status write_image_archive(const std::string& folder, const std::string& archive);
// The other way: every file of such an archive into `folder`, which is there. Names are names, not paths; anything else
// that an archive may hold is refused (kDataLoss).
[[nodiscard]] Status read_image_archive(const std::string& archive, const std::string& folder);

}  // namespace kiln::worker
