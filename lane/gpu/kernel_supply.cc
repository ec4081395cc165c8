#include "lane/gpu/kernel_supply.h"

#include "base/log.h"

namespace kiln::lane {

void KernelSupply::expect(std::string arch) {
  const std::lock_guard lock(mutex_);
  arch_ = std::move(arch);
  if (answer_ == Answer::kNone) answer_ = Answer::kDue;
}

void KernelSupply::offer(std::string image) {
  {
    const std::lock_guard lock(mutex_);
    image_ = std::move(image);
    answer_ = Answer::kHere;
  }
  answered_.notify_all();
}

void KernelSupply::offer_none() {
  {
    const std::lock_guard lock(mutex_);
    if (answer_ == Answer::kDue) answer_ = Answer::kNone;
  }
  answered_.notify_all();
}

std::string KernelSupply::arch() const {
  const std::lock_guard lock(mutex_);
  return arch_;
}

std::optional<std::string> KernelSupply::image() {
  std::unique_lock lock(mutex_);
  answered_.wait_for(lock, kKernelAnswerDeadline, [this] { return answer_ != Answer::kDue; });
  if (answer_ != Answer::kHere) return std::nullopt;
  return image_;
}

Result<std::shared_ptr<const KernelModule>> KernelSupply::module() {
  const std::lock_guard lock(loading_);
  if (module_) return module_;
  if (const auto stored = image()) {
    auto loaded = KernelModule::load(*stored);
    if (loaded) return module_ = std::move(*loaded);
    log::warn("the kernels that the store has do not load, so they are compiled here: {}", loaded.error().message);
  }
  KILN_TRY_ASSIGN(module_, load_own_kernels());
  const std::lock_guard told(mutex_);
  compiled_here_ = true;
  return module_;
}

bool KernelSupply::compiled_here() const {
  const std::lock_guard lock(mutex_);
  return compiled_here_;
}

}  // namespace kiln::lane
