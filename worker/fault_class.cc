#include "worker/fault_class.h"

#include <algorithm>
#include <array>
#include <csignal>

namespace kiln::worker {
namespace {

// What allocators of LibTorch, CUDA and the C++ library write.
constexpr std::array<std::string_view, 6> kMemoryWords{"std::bad_alloc", "CUDA_ERROR_OUT_OF_MEMORY", "out of memory", "can't allocate memory",
                                                       "Cannot allocate memory", "CUDNN_STATUS_ALLOC_FAILED"};

bool speaks_of_memory(std::string_view text) {
  return std::any_of(kMemoryWords.begin(), kMemoryWords.end(),
                     [&](std::string_view words) { return text.find(words) != std::string_view::npos; });
}

// What was asked for cannot be, here or elsewhere; where this worker's set-up is the reason, it may be elsewhere.
bool is_bad_request(const Error& error) {
  return error.code == ErrorCode::kInvalidArgument && error.exit != ExitCode::kBadConfig;
}

net::TaskFault make_fault(net::FailureKind kind, const Error& error) {
  return {kind, std::string(to_string(error.code)), error.message, static_cast<int>(error.exit)};
}

}  // namespace

net::TaskFault fault_of(const Error& error) {
  const bool bad_input = error.exit == ExitCode::kInputRefused || error.exit == ExitCode::kInputMissing ||
                         error.code == ErrorCode::kNotFound || is_bad_request(error);
  return make_fault(bad_input ? net::FailureKind::kBadInput : net::FailureKind::kError, error);
}

net::TaskFault fault_of(const net::Fault& fault) {
  net::FailureKind kind = net::FailureKind::kError;
  if (fault.failure == "bad_input" || is_bad_request(fault.error)) kind = net::FailureKind::kBadInput;
  if (fault.failure == "artifact_mismatch") kind = net::FailureKind::kArtifactMismatch;
  const bool disk = fault.error.exit == ExitCode::kIo;
  const bool memory = fault.failure == "out_of_memory" || (!disk && speaks_of_memory(fault.error.message));
  return make_fault(memory ? net::FailureKind::kOutOfMemory : kind, fault.error);
}

net::FailureKind kind_of(const Death& death) {
  if (speaks_of_memory(death.log)) return net::FailureKind::kOutOfMemory;
  const bool killed = death.status.signal == SIGKILL && death.killed_for_memory;
  return killed ? net::FailureKind::kOutOfMemory : net::FailureKind::kCrash;
}

}  // namespace kiln::worker
