#include "worker/nvml.h"

#include <dlfcn.h>

#include <array>

namespace kiln::worker {
namespace {

// ---- the library's interface, as far as it is used: names, values and layouts of nvml.h ----
using Device = struct DeviceTag*;
using Code = int;
constexpr Code kSuccess = 0;
constexpr Code kNotSupported = 3;
constexpr std::size_t kTextBytes = 96;  // its longest text, a name or UUID (NVML_DEVICE_UUID_V2_BUFFER_SIZE)

struct PciInfo {  // nvmlPciInfo_t, since version 3 of its function
  char bus_id_legacy[16];
  unsigned domain;
  unsigned bus;
  unsigned device;
  unsigned device_id;
  unsigned subsystem_id;
  char bus_id[32];
};
static_assert(sizeof(PciInfo) == 68);

struct MemoryInfo {  // nvmlMemory_v2_t
  unsigned version;
  unsigned long long total;
  unsigned long long reserved;
  unsigned long long free;
  unsigned long long used;
};
static_assert(sizeof(MemoryInfo) == 40);
constexpr unsigned kMemoryInfoVersion = static_cast<unsigned>(sizeof(MemoryInfo)) | 2U << 24U;

struct Functions {
  Code (*init)() = nullptr;
  Code (*shut_down)() = nullptr;
  const char* (*error_text)(Code) = nullptr;
  Code (*driver_version)(char*, unsigned) = nullptr;
  Code (*cuda_version)(int*) = nullptr;
  Code (*count)(unsigned*) = nullptr;
  Code (*by_index)(unsigned, Device*) = nullptr;
  Code (*uuid)(Device, char*, unsigned) = nullptr;
  Code (*name)(Device, char*, unsigned) = nullptr;
  Code (*pci)(Device, PciInfo*) = nullptr;
  Code (*capability)(Device, int*, int*) = nullptr;
  Code (*memory)(Device, MemoryInfo*) = nullptr;
  Code (*link_generation_max)(Device, unsigned*) = nullptr;
  Code (*link_width)(Device, unsigned*) = nullptr;
};

template <typename Function>
Status find(void* library, const char* name, Function*& out) {
  out = reinterpret_cast<Function*>(::dlsym(library, name));
  if (out != nullptr) return {};
  return fail(make_error(ErrorCode::kUnimplemented,
                         "{} has no {}: this NVIDIA driver is too old for Kiln; install a newer one", kNvmlName, name));
}

Result<Functions> find_all(void* library) {
  Functions out;
  KILN_TRY(find(library, "nvmlInit_v2", out.init));
  KILN_TRY(find(library, "nvmlShutdown", out.shut_down));
  KILN_TRY(find(library, "nvmlErrorString", out.error_text));
  KILN_TRY(find(library, "nvmlSystemGetDriverVersion", out.driver_version));
  KILN_TRY(find(library, "nvmlSystemGetCudaDriverVersion_v2", out.cuda_version));
  KILN_TRY(find(library, "nvmlDeviceGetCount_v2", out.count));
  KILN_TRY(find(library, "nvmlDeviceGetHandleByIndex_v2", out.by_index));
  KILN_TRY(find(library, "nvmlDeviceGetUUID", out.uuid));
  KILN_TRY(find(library, "nvmlDeviceGetName", out.name));
  KILN_TRY(find(library, "nvmlDeviceGetPciInfo_v3", out.pci));
  KILN_TRY(find(library, "nvmlDeviceGetCudaComputeCapability", out.capability));
  KILN_TRY(find(library, "nvmlDeviceGetMemoryInfo_v2", out.memory));
  KILN_TRY(find(library, "nvmlDeviceGetMaxPcieLinkGeneration", out.link_generation_max));
  KILN_TRY(find(library, "nvmlDeviceGetCurrPcieLinkWidth", out.link_width));
  return out;
}

struct LibraryCloser {
  void operator()(void* library) const { ::dlclose(library); }
};
using Library = std::unique_ptr<void, LibraryCloser>;

class Nvml final : public CardDriver {
 public:
  Nvml(Library library, const Functions& functions) : library_(std::move(library)), functions_(functions) {}
  ~Nvml() override {
    if (ready_) functions_.shut_down();
  }

  Status begin() {
    KILN_TRY(check(functions_.init(), "the NVIDIA driver does not work"));
    ready_ = true;
    return {};
  }

  Result<std::string> driver_version() override {
    std::array<char, kTextBytes> text{};
    KILN_TRY(check(functions_.driver_version(text.data(), kTextBytes - 1), "the driver's version"));
    return std::string(text.data());
  }

  Result<CudaVersion> cuda_version() override {
    int version = 0;  // 13000: 13.0
    KILN_TRY(check(functions_.cuda_version(&version), "the driver's version of CUDA"));
    return CudaVersion{version / 1000, version % 1000 / 10};
  }

  Result<unsigned> card_count() override {
    unsigned count = 0;
    KILN_TRY(check(functions_.count(&count), "how many cards there are"));
    return count;
  }

  Result<Card> card(unsigned index) override {
    auto read = read_card(index);
    if (!read) return fail(read.error().with_context(fmt::format("card {}", index)));
    return read;
  }

 private:
  [[nodiscard]] Status check(Code code, std::string_view what) const {
    if (code == kSuccess) return {};
    const char* text = functions_.error_text(code);
    return fail(make_error(ErrorCode::kUnavailable, "{}: {} says '{}'", what, kNvmlName,
                           text == nullptr ? std::to_string(code) : text));
  }

  Result<Card> read_card(unsigned index) {
    Device device = nullptr;
    KILN_TRY(check(functions_.by_index(index, &device), "cannot be opened"));
    Card card;
    card.index = index;
    std::array<char, kTextBytes> text{};
    KILN_TRY(check(functions_.uuid(device, text.data(), kTextBytes - 1), "its UUID"));
    card.uuid = text.data();
    text.fill('\0');
    KILN_TRY(check(functions_.name(device, text.data(), kTextBytes - 1), "its name"));
    card.name = text.data();
    PciInfo pci{};
    KILN_TRY(check(functions_.pci(device, &pci), "its place on the bus"));
    card.pci = {pci.domain, pci.bus, pci.device};
    KILN_TRY(check(functions_.capability(device, &card.capability.major, &card.capability.minor), "its architecture"));
    MemoryInfo memory{};
    memory.version = kMemoryInfoVersion;
    KILN_TRY(check(functions_.memory(device, &memory), "its memory"));
    card.memory_bytes = memory.total;
    card.free_bytes = memory.free;
    card.reserved_bytes = memory.reserved;
    KILN_TRY(read_link(device, card));
    return card;
  }

  // Cards that a virtual machine was given may have no link to speak of.
  Status read_link(Device device, Card& card) const {
    const Code generation = functions_.link_generation_max(device, &card.link_generation);
    if (generation != kNotSupported) KILN_TRY(check(generation, "its link"));
    const Code width = functions_.link_width(device, &card.link_width);
    if (width != kNotSupported) KILN_TRY(check(width, "its link"));
    return {};
  }

  Library library_;
  Functions functions_;
  bool ready_ = false;
};

}  // namespace

Result<std::unique_ptr<CardDriver>> open_nvml(const std::string& path) {
  Library library(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library) {
    const char* why = ::dlerror();
    return fail(make_error(ErrorCode::kNotFound, "no NVIDIA driver here ({})", why == nullptr ? path : why));
  }
  KILN_TRY_ASSIGN(const Functions functions, find_all(library.get()));
  auto nvml = std::make_unique<Nvml>(std::move(library), functions);
  KILN_TRY(nvml->begin());
  return std::unique_ptr<CardDriver>(std::move(nvml));
}

}  // namespace kiln::worker
