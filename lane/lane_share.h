// A lane's part in loading a package together with other lanes of its host: what its worker says of groups, and the way that
// weights take while there is one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lane/engine/weight_delivery.h"
#include "lane/gpu/weight_broadcast.h"
#include "lane/outbox.h"

namespace kiln::lane {

class LaneShare final : public WeightDelivery {
 public:
  using DeviceMaker = std::function<Result<std::unique_ptr<TransferDevice>>()>;
  // `nccl` empty: as NcclLibrary::open finds it. What it is given outlives it.
  LaneShare(Outbox& outbox, DeviceMaker make_device, std::string nccl = "", BroadcastRules rules = {});

  // ---- of the thread that hears the worker ----
  void hear(const net::ShareId& message) { inbox_.put_id(message.epoch, message.id); }
  void hear(const net::ShareOver& message) { inbox_.end(message.epoch, message.why); }

  // ---- of the thread that loads packages ----
  void open(const net::OpenShare& message);
  // Something was heard: sets up, or gives up, what there is.
  void look();
  // How the weights of the package come that names this epoch; nullptr: as they come to a lane alone.
  [[nodiscard]] WeightDelivery* way_for(std::uint64_t epoch);
  // That package is here, or it was refused.
  void end_load(bool loaded);
  [[nodiscard]] WeightCounts counts() const { return broadcast_ == nullptr ? WeightCounts{} : broadcast_->counts(); }

  [[nodiscard]] Status deliver(std::span<const Target> targets) override;

 private:
  void leave(const std::string& why);

  Outbox& outbox_;
  const DeviceMaker make_device_;
  const std::string nccl_;
  const BroadcastRules rules_;
  ShareInbox inbox_;
  // The communicator ends before the streams that it worked in.
  std::unique_ptr<WeightBroadcast> broadcast_;
  std::unique_ptr<WeightShare> share_;
};

}  // namespace kiln::lane
