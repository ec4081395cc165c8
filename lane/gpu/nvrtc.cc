#include "lane/gpu/nvrtc.h"

#include <dlfcn.h>

#include <algorithm>

#include "lane/gpu/beside_torch.h"

namespace kiln::lane {
namespace {

constexpr const char* kNvrtcName = "libnvrtc.so.13";
constexpr const char* kPlaceBesideTorch = "nvidia/cu13/lib/libnvrtc.so.13";
constexpr int kSuccess = 0;
constexpr int kCompilation = 6;       // NVRTC_ERROR_COMPILATION
constexpr std::size_t kLogMax = 4000;  // of what a compiler has to say, in an error

using Program = struct ProgramTag*;

template <typename Function>
Status find(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out != nullptr) return {};
  return fail(make_error(ErrorCode::kUnimplemented, "{} has no {}: install the torch that scripts/setup does", kNvrtcName,
                         name));
}

Result<void*> open_library(const std::string& given) {
  const std::vector<std::string> places = given.empty() ? std::vector<std::string>{path_beside_torch(kPlaceBesideTorch), kNvrtcName}
                                                        : std::vector<std::string>{given};
  std::string why;
  for (const std::string& place : places) {
    if (place.empty()) continue;
    if (void* library = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr) return library;
    const char* said = ::dlerror();
    why += fmt::format("{}{}", why.empty() ? "" : "; ", said == nullptr ? place : said);
  }
  return fail(make_error(ErrorCode::kUnavailable,
                         "no compiler for kernels ({}): it comes with torch's wheels, as nvidia-cuda-nvrtc", why));
}

}  // namespace

struct Nvrtc::Functions {
  const char* (*error_text)(int) = nullptr;
  int (*version)(int*, int*) = nullptr;
  int (*create)(Program*, const char* source, const char* name, int headers, const char* const* texts,
                const char* const* names) = nullptr;
  int (*destroy)(Program*) = nullptr;
  int (*compile)(Program, int count, const char* const* options) = nullptr;
  int (*log_size)(Program, std::size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*cubin_size)(Program, std::size_t*) = nullptr;
  int (*cubin)(Program, char*) = nullptr;

  Status find_all(void* library) {
    KILN_TRY(find(library, "nvrtcGetErrorString", error_text));
    KILN_TRY(find(library, "nvrtcVersion", version));
    KILN_TRY(find(library, "nvrtcCreateProgram", create));
    KILN_TRY(find(library, "nvrtcDestroyProgram", destroy));
    KILN_TRY(find(library, "nvrtcCompileProgram", compile));
    KILN_TRY(find(library, "nvrtcGetProgramLogSize", log_size));
    KILN_TRY(find(library, "nvrtcGetProgramLog", log));
    KILN_TRY(find(library, "nvrtcGetCUBINSize", cubin_size));
    return find(library, "nvrtcGetCUBIN", cubin);
  }

  [[nodiscard]] Status check(int code, std::string_view call) const {
    if (code == kSuccess) return {};
    return fail(make_error(ErrorCode::kInternal, "{}: {} ({})", call, error_text(code), code));
  }

  [[nodiscard]] Result<std::string> text_of(Program program) const {
    std::size_t size = 0;
    KILN_TRY(check(log_size(program, &size), "nvrtcGetProgramLogSize"));
    std::string text(size, '\0');
    if (size > 0) KILN_TRY(check(log(program, text.data()), "nvrtcGetProgramLog"));
    text.resize(std::min({text.find('\0'), text.size(), kLogMax}));
    return text;
  }

  [[nodiscard]] Result<std::string> code_of(Program program) const {
    std::size_t size = 0;
    KILN_TRY(check(cubin_size(program, &size), "nvrtcGetCUBINSize"));
    std::string code(size, '\0');
    KILN_TRY(check(cubin(program, code.data()), "nvrtcGetCUBIN"));
    return code;
  }

  [[nodiscard]] Result<std::string> build(Program program, const KernelSource& source, const std::string& arch) const {
    std::vector<const char*> options;
    const std::string for_arch = "--gpu-architecture=" + arch;
    options.push_back(for_arch.c_str());
    for (const std::string& option : nvrtc_options()) options.push_back(option.c_str());
    const int code = compile(program, static_cast<int>(options.size()), options.data());
    if (code == kSuccess) return code_of(program);
    if (code != kCompilation) {
      KILN_TRY(check(code, fmt::format("nvrtcCompileProgram of {} for {}", source.name, arch)));
    }
    KILN_TRY_ASSIGN(const std::string said, text_of(program));
    return fail(make_error(ErrorCode::kInvalidArgument, "{} does not compile for {}: {}", source.name, arch, said));
  }
};

const std::vector<std::string>& nvrtc_options() {
  static const std::vector<std::string> kOptions{"--std=c++17", "--fmad=false"};
  return kOptions;
}

Result<std::shared_ptr<const Nvrtc>> Nvrtc::open(const std::string& path) {
  KILN_TRY_ASSIGN(void* const library, open_library(path));
  auto functions = std::make_shared<Functions>();
  KILN_TRY(functions->find_all(library));
  int major = 0;
  int minor = 0;
  KILN_TRY(functions->check(functions->version(&major, &minor), "nvrtcVersion"));
  std::shared_ptr<Nvrtc> nvrtc(new Nvrtc());
  nvrtc->version_ = fmt::format("{}.{}", major, minor);
  nvrtc->functions_ = std::move(functions);
  return std::shared_ptr<const Nvrtc>(std::move(nvrtc));
}

Result<std::string> Nvrtc::compile(const KernelSource& source, const std::string& arch) const {
  Program program = nullptr;
  KILN_TRY(functions_->check(functions_->create(&program, source.text.c_str(), source.name.c_str(), 0, nullptr, nullptr),
                             "nvrtcCreateProgram"));
  auto built = functions_->build(program, source, arch);
  functions_->destroy(&program);
  return built;
}

Result<std::string> compile_own_kernels(const std::string& arch) {
  KILN_TRY_ASSIGN(const auto nvrtc, Nvrtc::open());
  return nvrtc->compile(own_kernel_source(), arch);
}

}  // namespace kiln::lane
