// Kernels of lanes on cards: out of the store, or compiled for it while the lane that asked compiles its own.
#include "base/log.h"
#include "worker/farm_worker_impl.h"

namespace kiln::worker {
namespace {

// NVRTC needs no card, and who sees none has nothing of a card's memory. Orders are rare: it ends behind them.
CompileChildOptions kernel_child_options(const ArtifactBuilderOptions& compiles) {
  CompileChildOptions child = compiles.child;
  child.torch_git = compiles.toolchain.torch_git;
  child.recipe_sha256 = compiles.toolchain.recipe_sha256;
  child.work_folder += "-kernels";
  child.leaves_when_idle = true;
  return child;
}

}  // namespace

// Until there is a store to look into, a lane is not answered; it waits a while, and then compiles for itself.
void FarmWorker::Impl::want_kernels(LaneId id, const net::KernelsWanted& wanted) {
  if (state_.session.state == SessionState::kWelcomed) return look_for_kernels(id, wanted);
  kernels_wanted_[id] = wanted;
}

void FarmWorker::Impl::look_for_wanted_kernels() {
  for (const auto& [id, wanted] : std::exchange(kernels_wanted_, {})) {
    if (lanes_.at(id)->running()) look_for_kernels(id, wanted);
  }
}

void FarmWorker::Impl::look_for_kernels(LaneId id, const net::KernelsWanted& wanted) {
  const auto none = [&] { (void)lanes_.at(id)->offer_kernels(nullptr, {}); };
  if (!options_.compiles) return none();
  auto order = kernel_order(wanted, options_.compiles->toolchain);
  if (!order) {
    log::warn("lane {}: {}", id.value, order.error().message);
    return none();
  }
  pool_->run([this, id, order = std::move(*order)] {
    auto found = fetcher_.fetch_artifact(order.key.hex());
    mailbox_.post([this, id, order, found = std::move(found)] { offer_kernels(id, order, found); });
  });
}

// A lane that ended meanwhile asks again when it is back.
void FarmWorker::Impl::offer_kernels(LaneId id, const KernelOrder& order,
                                     const Result<std::shared_ptr<const ReadyArtifact>>& found) {
  if (!found) log::warn("kernels for {} cannot be had: {}", order.request.arch, found.error().message);
  const ReadyArtifact* kernels = found ? found->get() : nullptr;
  LaneHost& lane = *lanes_.at(id);
  if (lane.running()) (void)lane.offer_kernels(kernels, store_.trusted_keys());
  if (found && kernels == nullptr) compile_kernels(order);
}

void FarmWorker::Impl::compile_kernels(const KernelOrder& order) {
  if (!kernels_ordered_.insert(order.key.digest).second) return;
  CompileRequest request;
  request.kernels = order.request;
  auto done = [this, order](Result<CompiledLibrary> made) {  // on the child's thread
    auto library = std::make_shared<Result<CompiledLibrary>>(std::move(made));
    mailbox_.post([this, order, library] { publish_kernels(order, library); });
  };
  if (!kernel_child_) kernel_child_ = std::make_unique<CompileChild>(kernel_child_options(*options_.compiles));
  const auto ticket = kernel_child_->submit(std::move(request), std::move(done));
  if (!ticket) end_kernels(order, fail(ticket.error()));
}

void FarmWorker::Impl::publish_kernels(const KernelOrder& order, const std::shared_ptr<Result<CompiledLibrary>>& made) {
  count_compile(*made);
  if (!*made) return end_kernels(order, fail(made->error()));
  pool_->run([this, order, made] {
    const auto publish = [&]() -> Status {
      KILN_TRY_ASSIGN(const auto artifacts, store_.artifacts());
      const MakerContext maker{&*options_.compiles, artifacts.get(), &signing_key_};
      KILN_TRY(make_kernel_artifact(maker, order.key, order.request.arch, std::move(**made)));
      return {};
    };
    mailbox_.post([this, order, published = publish()] { end_kernels(order, published); });
  });
}

// A failure harms nobody: lanes compile for themselves, and the next one that asks has it tried again.
void FarmWorker::Impl::end_kernels(const KernelOrder& order, const Status& published) {
  if (published) return log::info("kernels for {} are in the store: {}", order.request.arch, order.key.hex());
  kernels_ordered_.erase(order.key.digest);
  if (published.error().code == ErrorCode::kCancelled) return;
  log::warn("kernels for {} are not in the store: {}", order.request.arch,
            store_.without_grants(published.error().message));
}

}  // namespace kiln::worker
