// NCCL, opened at run time where there is one, as torch's wheels bring it. Kiln is not linked to it, and no header of it is
// needed: the few functions that are used, and the configuration, stand here as they are in its stable interface.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct ncclComm;
struct CUstream_st;

namespace kiln::lane {

inline constexpr std::size_t kNcclIdBytes = 128;
struct NcclId {  // passed by value, as ncclUniqueId
  std::array<char, kNcclIdBytes> bytes{};
};

// ncclConfig_t up to what 2.18 knew of it; newer libraries take what is missing as not set.
struct NcclConfig {
  std::size_t size = sizeof(NcclConfig);
  unsigned magic = 0xcafebeefU;
  unsigned version = 21805;  // 2.18.5
  int blocking = 0;
  int cga_cluster_size = kNotSet;
  int min_ctas = kNotSet;
  int max_ctas = kNotSet;
  const char* net_name = nullptr;
  int split_share = kNotSet;
  int padding = kNotSet;  // newer libraries have a field there, and copy what `size` says
  static constexpr int kNotSet = -0x7fffffff - 1;
};

static_assert(sizeof(NcclConfig) == 48);

struct NcclFunctions {
  using Code = int;
  Code (*version)(int*) = nullptr;
  const char* (*error_text)(Code) = nullptr;
  Code (*make_id)(NcclId*) = nullptr;
  Code (*begin)(ncclComm**, int ranks, NcclId id, int rank, NcclConfig*) = nullptr;
  Code (*state)(ncclComm*, Code* of_what_runs) = nullptr;
  Code (*abort)(ncclComm*) = nullptr;
  Code (*broadcast)(const void* from, void* to, std::size_t count, int type, int root, ncclComm*, CUstream_st*) = nullptr;
  Code (*group_start)() = nullptr;
  Code (*group_end)() = nullptr;
};

// Immutable; any thread. The library is never closed: it has threads of its own.
class NcclLibrary {
 public:
  static constexpr int kSuccess = 0;
  static constexpr int kInProgress = 7;
  static constexpr int kBytes = 1;  // ncclUint8

  // `path` empty: that of the wheel beside the torch that this process has loaded, else what the dynamic linker finds.
  // kUnavailable where there is none; kUnimplemented where it is too old.
  [[nodiscard]] static Result<std::shared_ptr<const NcclLibrary>> open(const std::string& path = "");

  [[nodiscard]] const NcclFunctions& functions() const { return functions_; }
  [[nodiscard]] std::string version() const { return version_; }  // "2.28.9"
  // The error of a call that answered `code`; what is still going on is none.
  [[nodiscard]] Status check(NcclFunctions::Code code, std::string_view call) const;

 private:
  NcclLibrary() = default;
  NcclFunctions functions_;
  std::string version_;
};

}  // namespace kiln::lane
