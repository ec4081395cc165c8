// A library that answers as libnvidia-ml.so.1 does, for hosts without a card. FAKE_NVML_CARDS is how many it shows (each
// next one another kind), FAKE_NVML_CUDA what its driver can run ("13000"), FAKE_NVML_INIT the code that its start returns (-1: never),
// FAKE_NVML_LOST the card that cannot be opened.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

[[maybe_unused]] constexpr int kInvalidArgument = 2;  // not by that of an old driver
constexpr int kNotSupported = 3;
constexpr int kInsufficientSize = 7;
constexpr int kLost = 15;

struct Kind {
  const char* name;
  int major;
  int minor;
  unsigned long long mib;
};
constexpr Kind kKinds[] = {{"NVIDIA H100 80GB HBM3", 9, 0, 81'559}, {"NVIDIA GeForce RTX 3060", 8, 6, 12'288},
                           {"NVIDIA GeForce GTX 1080", 6, 1, 8'192}};

int variable(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

unsigned index_of(const void* device) { return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(device)) - 1; }
const Kind& kind_of(const void* device) { return kKinds[index_of(device) % 3]; }

int copy(char* out, unsigned length, const char* text) {
  if (std::strlen(text) >= length) return kInsufficientSize;
  std::strcpy(out, text);
  return 0;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  const int code = variable("FAKE_NVML_INIT", 0);
  if (code < 0) {
    while (true) ::pause();
  }
  return code;
}
int nvmlShutdown() { return 0; }
const char* nvmlErrorString(int code) {
  if (code == 9) return "Driver Not Loaded";
  if (code == 18) return "Driver/library version mismatch";
  return code == kLost ? "GPU is lost" : "Unknown Error";
}
int nvmlSystemGetDriverVersion(char* out, unsigned length) { return copy(out, length, "580.95.05"); }
int nvmlSystemGetCudaDriverVersion_v2(int* out) {
  *out = variable("FAKE_NVML_CUDA", 13'000);
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* out) {
  *out = static_cast<unsigned>(variable("FAKE_NVML_CARDS", 2));
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** out) {
  if (static_cast<int>(index) == variable("FAKE_NVML_LOST", -1)) return kLost;
  *out = reinterpret_cast<void*>(static_cast<std::uintptr_t>(index) + 1);
  return 0;
}
int nvmlDeviceGetUUID(void* device, char* out, unsigned length) {
  char text[64];
  std::snprintf(text, sizeof text, "GPU-%08x-0000-0000-0000-000000000000", index_of(device));
  return copy(out, length, text);
}
int nvmlDeviceGetName(void* device, char* out, unsigned length) { return copy(out, length, kind_of(device).name); }
int nvmlDeviceGetCudaComputeCapability(void* device, int* major, int* minor) {
  *major = kind_of(device).major;
  *minor = kind_of(device).minor;
  return 0;
}
int nvmlDeviceGetPciInfo_v3(void* device, void* out) {  // 68 bytes: legacy name, five numbers, name
  const unsigned numbers[] = {0, 0x0f + index_of(device), 0, 0, 0};
  std::memset(out, 0, 68);
  std::memcpy(static_cast<char*>(out) + 16, numbers, sizeof numbers);
  return 0;
}
int nvmlDeviceGetMaxPcieLinkGeneration(void* device, unsigned* out) {
  if (index_of(device) == 1) return kNotSupported;  // as a card that a virtual machine was given
  *out = 5;
  return 0;
}
int nvmlDeviceGetCurrPcieLinkWidth(void* device, unsigned* out) {
  if (index_of(device) == 1) return kNotSupported;
  *out = 16;
  return 0;
}

}  // extern "C"

// A library of an old driver is this one without what follows.
#ifndef FAKE_NVML_IS_OLD
extern "C" int nvmlDeviceGetMemoryInfo_v2(void* device, void* out) {  // version, total, reserved, free, used
  unsigned version = 0;
  std::memcpy(&version, out, sizeof version);
  if (version != (40U | 2U << 24U)) return kInvalidArgument;
  const unsigned long long total = kind_of(device).mib << 20U;
  const unsigned long long reserved = 500ULL << 20U;
  const unsigned long long numbers[] = {total, reserved, total - reserved, reserved};
  std::memcpy(static_cast<char*>(out) + 8, numbers, sizeof numbers);
  return 0;
}
#endif
