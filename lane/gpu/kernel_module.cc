#include "lane/gpu/kernel_module.h"

#include "lane/gpu/cuda_driver.h"
#include "lane/gpu/nvrtc.h"

namespace kiln::lane {

Result<std::shared_ptr<const KernelModule>> KernelModule::load(std::span<const char> image) {
  std::shared_ptr<KernelModule> module(new KernelModule());
  KILN_TRY_ASSIGN(module->driver_, CudaDriver::open());
  const CudaDriver& driver = *module->driver_;
  KILN_TRY_ASSIGN(module->context_, driver.current_context());
  KILN_TRY(driver.check(driver.functions().load_module(&module->module_, image.data(), 0, nullptr, nullptr),
                        "cuModuleLoadDataEx"));
  return std::shared_ptr<const KernelModule>(std::move(module));
}

KernelModule::~KernelModule() {
  // A context that is lost, or ended with the process, takes its modules along: the answer says nothing.
  if (module_ != nullptr) driver_->functions().unload_module(module_);
}

Result<KernelFunction> KernelModule::function(const std::string& name) const {
  KernelFunction function = nullptr;
  KILN_TRY(driver_->check(driver_->functions().module_function(&function, module_, name.c_str()),
                          "cuModuleGetFunction of " + name));
  return function;
}

Status KernelModule::launch(KernelFunction function, const LaunchShape& shape, void** arguments, void* cuda_stream) const {
  const CudaFunctions& call = driver_->functions();
  CUctx_st* current = nullptr;
  KILN_TRY(driver_->check(call.current_context(&current), "cuCtxGetCurrent"));
  if (current == nullptr) KILN_TRY(driver_->check(call.set_current_context(context_), "cuCtxSetCurrent"));
  return driver_->check(call.launch(function, shape.blocks[0], shape.blocks[1], shape.blocks[2], shape.threads[0],
                                    shape.threads[1], shape.threads[2], 0, static_cast<CUstream_st*>(cuda_stream),
                                    arguments, nullptr),
                        "cuLaunchKernel");
}

Result<std::shared_ptr<const KernelModule>> load_own_kernels() {
  KILN_TRY_ASSIGN(const auto driver, CudaDriver::open());
  KILN_TRY(driver->current_context());
  KILN_TRY_ASSIGN(const std::string arch, driver->current_arch());
  KILN_TRY_ASSIGN(const std::string image, compile_own_kernels(arch));
  return KernelModule::load(image);
}

}  // namespace kiln::lane
