#include "worker/kernel_order.h"

#include <algorithm>

namespace kiln::worker {
namespace {

bool is_arch(const std::string& text) {
  constexpr std::string_view kPrefix = "sm_";
  constexpr std::size_t kBytesMax = 8;
  if (!text.starts_with(kPrefix) || text.size() == kPrefix.size() || text.size() > kBytesMax) return false;
  return std::all_of(text.begin() + kPrefix.size(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_option(const std::string& text) {
  const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
  return text.starts_with("--") && text.size() <= kKernelOptionBytesMax && std::all_of(text.begin(), text.end(), printable);
}

}  // namespace

Result<KernelOrder> kernel_order(const net::KernelsWanted& wanted, const sharding::Toolchain& toolchain) {
  const bool options = wanted.options.size() <= kKernelOptionsMax &&
                       std::all_of(wanted.options.begin(), wanted.options.end(), is_option);
  if (!is_arch(wanted.arch) || !options || wanted.source.empty() || wanted.source.size() > kKernelSourceBytesMax) {
    return fail(make_error(ErrorCode::kInvalidArgument, "a lane asks for kernels in a way that no lane does"));
  }
  KernelOrder order;
  order.request = {wanted.source, wanted.arch, wanted.options};
  order.key = sharding::make_kernel_key({sha256(wanted.source).hex(), wanted.options, wanted.arch, toolchain});
  return order;
}

}  // namespace kiln::worker
