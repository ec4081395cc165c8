// MPI as `kiln` sees it: a library that is opened when it is needed. `kiln` itself is not linked to MPI.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/mpi/mpi_interface.h"

namespace kiln::cli {

// From begin() to end(). One in a process; ranks that are not ended properly take the whole launch with them.
class MpiSession {
 public:
  // Looks beside the program, then in ../lib. Exit code 3 where it or MPI cannot be loaded: the message says what to
  // install.
  [[nodiscard]] static Result<MpiSession> begin();

  [[nodiscard]] const KilnMpiPlace& place() const { return place_; }
  // Every rank's text, by rank. A text of more than kIntroductionBytesMax is an error everywhere.
  [[nodiscard]] Result<std::vector<std::string>> gather(std::string_view mine) const;
  // What rank 0 says.
  [[nodiscard]] Result<std::string> broadcast(std::string_view said) const;
  [[nodiscard]] Status end() const;

 private:
  MpiSession() = default;
  KilnMpiPlace place_{};
  KilnMpiGather* gather_ = nullptr;
  KilnMpiBroadcast* broadcast_ = nullptr;
  KilnMpiEnd* end_ = nullptr;
};

inline constexpr std::size_t kIntroductionBytesMax = 8192;

}  // namespace kiln::cli
