// NVIDIA's management library: opened when a worker starts, where there is one. Kiln is not linked to it, and no header of
// it is needed: the few functions and structures that are used stand in nvml.cc as they are in its stable interface.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "worker/card.h"

namespace kiln::worker {

inline constexpr const char* kNvmlName = "libnvidia-ml.so.1";  // the dynamic linker finds it
inline constexpr unsigned kCardsMax = 64;                       // of one host

// What is asked of the driver. One implementation opens the library; tests bring others.
class CardDriver {
 public:
  virtual ~CardDriver() = default;
  CardDriver() = default;
  CardDriver(const CardDriver&) = delete;
  CardDriver& operator=(const CardDriver&) = delete;

  [[nodiscard]] virtual Result<std::string> driver_version() = 0;
  [[nodiscard]] virtual Result<CudaVersion> cuda_version() = 0;
  [[nodiscard]] virtual Result<unsigned> card_count() = 0;
  // Without what the system says of it: its NUMA node and cores.
  [[nodiscard]] virtual Result<Card> card(unsigned index) = 0;
};

// kNotFound: there is no such library, so no driver. kUnavailable: there is one, and it does not work (no card, no kernel
// module, another version than the module's). kUnimplemented: one that lacks a function, so it is too old.
[[nodiscard]] Result<std::unique_ptr<CardDriver>> open_nvml(const std::string& path = kNvmlName);

}  // namespace kiln::worker
