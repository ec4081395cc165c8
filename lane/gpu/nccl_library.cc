#include "lane/gpu/nccl_library.h"

#include <dlfcn.h>

#include <vector>

#include "lane/gpu/beside_torch.h"

namespace kiln::lane {
namespace {

constexpr const char* kNcclName = "libnccl.so.2";
constexpr const char* kPlaceBesideTorch = "nvidia/nccl/lib/libnccl.so.2";
constexpr int kOldest = 21400;  // 2.14, the first that sets up without blocking; 2.18.5 is 21805

template <typename Function>
Status find(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out != nullptr) return {};
  return fail(make_error(ErrorCode::kUnimplemented, "{} has no {}: install the torch that scripts/setup does", kNcclName, name));
}

Result<void*> open_library(const std::string& given) {
  const std::vector<std::string> places =
      given.empty() ? std::vector<std::string>{path_beside_torch(kPlaceBesideTorch), kNcclName} : std::vector<std::string>{given};
  std::string why;
  for (const std::string& place : places) {
    if (place.empty()) continue;
    if (void* library = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
    const char* said = ::dlerror();
    why += fmt::format("{}{}", why.empty() ? "" : "; ", said == nullptr ? place : said);
  }
  return fail(make_error(ErrorCode::kUnavailable, "no NCCL ({}): it comes with torch's wheels, as nvidia-nccl", why));
}

Result<NcclFunctions> find_all(void* library) {
  NcclFunctions out;
  KILN_TRY(find(library, "ncclGetVersion", out.version));
  KILN_TRY(find(library, "ncclGetErrorString", out.error_text));
  KILN_TRY(find(library, "ncclGetUniqueId", out.make_id));
  KILN_TRY(find(library, "ncclCommInitRankConfig", out.begin));
  KILN_TRY(find(library, "ncclCommGetAsyncError", out.state));
  KILN_TRY(find(library, "ncclCommAbort", out.abort));
  KILN_TRY(find(library, "ncclBroadcast", out.broadcast));
  KILN_TRY(find(library, "ncclGroupStart", out.group_start));
  KILN_TRY(find(library, "ncclGroupEnd", out.group_end));
  return out;
}

}  // namespace

Result<std::shared_ptr<const NcclLibrary>> NcclLibrary::open(const std::string& path) {
  KILN_TRY_ASSIGN(void* const library, open_library(path));
  std::shared_ptr<NcclLibrary> out(new NcclLibrary());
  KILN_TRY_ASSIGN(out->functions_, find_all(library));
  int version = 0;
  KILN_TRY(out->check(out->functions_.version(&version), "ncclGetVersion"));
  out->version_ = fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
  if (version < kOldest) {
    return fail(make_error(ErrorCode::kUnimplemented, "{} {} is too old: 2.14 is the first that can be given up", kNcclName,
                           out->version_));
  }
  return std::shared_ptr<const NcclLibrary>(std::move(out));
}

Status NcclLibrary::check(NcclFunctions::Code code, std::string_view call) const {
  if (code == kSuccess || code == kInProgress) return {};
  const char* text = functions_.error_text(code);
  return fail(make_error(ErrorCode::kUnavailable, "{}: {} ({})", call, text == nullptr ? "an unknown error" : text, code));
}

}  // namespace kiln::lane
