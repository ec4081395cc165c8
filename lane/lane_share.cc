#include "lane/lane_share.h"

#include <vector>

#include "base/log.h"

namespace kiln::lane {

LaneShare::LaneShare(Outbox& outbox, DeviceMaker make_device, std::string nccl, BroadcastRules rules)
    : outbox_(outbox), make_device_(std::move(make_device)), nccl_(std::move(nccl)), rules_(rules) {}

void LaneShare::open(const net::OpenShare& message) {
  leave("there is a newer group");
  const std::uint64_t epoch = message.epoch;
  auto device = make_device_();
  auto library = device ? NcclLibrary::open(nccl_) : fail(device.error());
  if (!library) {
    outbox_.send(net::ShareEnded{epoch, library.error().message});
    return;
  }
  log::debug("group {}: place {} of {}, NCCL {}", epoch, message.rank, message.ranks, (*library)->version());
  WeightShare::Voice voice;
  voice.tell_id = [this, epoch](const std::string& id) { outbox_.send(net::ShareOpened{epoch, id}); };
  voice.tell_end = [this, epoch](const std::string& why) { outbox_.send(net::ShareEnded{epoch, why}); };
  const SharePlace place{epoch, static_cast<int>(message.rank), static_cast<int>(message.ranks)};
  share_ = std::make_unique<WeightShare>(std::move(*library), place, inbox_, std::move(voice));
  broadcast_ = std::make_unique<WeightBroadcast>(std::move(*device), share_.get(), rules_);
  look();
}

void LaneShare::look() {
  if (share_ != nullptr && share_->advance() == WeightShare::State::kOver) leave("");
}

WeightDelivery* LaneShare::way_for(std::uint64_t epoch) {
  look();
  if (share_ == nullptr) return nullptr;
  if (share_->place().epoch == epoch) return this;
  leave("another package is loaded");
  return nullptr;
}

void LaneShare::end_load(bool loaded) {
  if (share_ == nullptr) return;
  if (!loaded) return leave("the package was refused");
  if (!share_->why_over().empty()) log::info("weights come from this host's copy: {}", share_->why_over());
  share_->complete();
  look();
}

Status LaneShare::deliver(std::span<const Target> targets) {
  std::vector<WeightTarget> all;
  for (const Target& target : targets) all.push_back({target.device, target.host});
  return broadcast_->deliver(all);
}

void LaneShare::leave(const std::string& why) {
  if (share_ != nullptr) share_->give_up(why);
  share_.reset();
  broadcast_.reset();
}

}  // namespace kiln::lane
