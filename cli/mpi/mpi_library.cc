#include "cli/mpi/mpi_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>

#include "cli/program_files.h"

namespace kiln::cli {
namespace {

constexpr const char* kLibraryName = "libkiln_mpi.so";
constexpr std::size_t kRanksMax = 16'384;  // as many as an allow-list holds
constexpr std::size_t kWhyBytes = 512;

using Padded = std::array<char, kIntroductionBytesMax>;

Error missing(const std::string& why) {
  return make_error(ErrorCode::kUnimplemented, ExitCode::kNotFound,
                    "no MPI: {}. Install Open MPI (Debian: apt-get install openmpi-bin libopenmpi-dev){}", why,
                    why.find(kLibraryName) == std::string::npos ? "" : " and build Kiln again (scripts/setup)");
}

Result<void*> open_library() {
  for (const std::string& place : {program_folder() + "/", program_folder() + "/../lib/"}) {
    const std::string path = place + kLibraryName;
    if (::access(path.c_str(), R_OK) != 0) continue;
    // Global: what MPI itself opens later looks for its names.
    if (void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL); library != nullptr) return library;
    const char* why = ::dlerror();
    return fail(missing(why == nullptr ? path : why));
  }
  return fail(missing(fmt::format("this build of Kiln has no {}", kLibraryName)));
}

template <typename Function>
Status find(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out != nullptr) return {};
  return fail(missing(fmt::format("{} has no {}: it is of another build", kLibraryName, name)));
}

Status check(int code, std::string_view what) {
  if (code == 0) return {};
  return fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable, "MPI: {} failed with code {}", what, code));
}

Result<Padded> pad(std::string_view text) {
  Padded out{};
  if (text.size() >= out.size()) {
    return fail(make_error(ErrorCode::kInternal, "a rank says {} bytes; at most {}", text.size(), out.size() - 1));
  }
  std::copy(text.begin(), text.end(), out.begin());
  return out;
}

}  // namespace

Result<MpiSession> MpiSession::begin() {
  KILN_TRY_ASSIGN(void* library, open_library());
  MpiSession out;
  KilnMpiBegin* begin = nullptr;
  KILN_TRY(find(library, "kiln_mpi_begin", begin));
  KILN_TRY(find(library, "kiln_mpi_gather", out.gather_));
  KILN_TRY(find(library, "kiln_mpi_broadcast", out.broadcast_));
  KILN_TRY(find(library, "kiln_mpi_end", out.end_));
  std::array<char, kWhyBytes> why{};
  if (begin(&out.place_, why.data(), why.size()) != 0) {
    return fail(make_error(ErrorCode::kUnavailable, ExitCode::kUnreachable, "MPI did not start: {}", why.data()));
  }
  if (out.place_.interface_version != kMpiInterface) {
    return fail(missing(fmt::format("{} is of another version of Kiln", kLibraryName)));
  }
  if (static_cast<std::size_t>(out.place_.ranks) > kRanksMax) {
    return fail(bad_config("{} ranks; at most {}", out.place_.ranks, kRanksMax));
  }
  return out;
}

Result<std::vector<std::string>> MpiSession::gather(std::string_view mine) const {
  KILN_TRY_ASSIGN(const Padded padded, pad(mine));
  const auto ranks = static_cast<std::size_t>(place_.ranks);
  std::vector<char> all(ranks * padded.size());
  KILN_TRY(check(gather_(padded.data(), all.data(), padded.size()), "exchanging introductions"));
  std::vector<std::string> out;
  for (std::size_t i = 0; i < ranks; ++i) out.emplace_back(&all[i * padded.size()]);
  return out;
}

Result<std::string> MpiSession::broadcast(std::string_view said) const {
  KILN_TRY_ASSIGN(Padded padded, pad(said));
  KILN_TRY(check(broadcast_(padded.data(), padded.size()), "hearing rank 0"));
  return std::string(padded.data());
}

Status MpiSession::end() const { return check(end_(), "leaving"); }

}  // namespace kiln::cli
