#include "lane/gpu/weight_share.h"

#include <utility>

namespace kiln::lane {

// ---- what the worker says ----

bool ShareInbox::turn_to(std::uint64_t epoch) {
  if (epoch < epoch_) {
    ++late_;
    return false;
  }
  if (epoch > epoch_) {
    epoch_ = epoch;
    id_.reset();
    end_.reset();
  }
  return true;
}

void ShareInbox::put_id(std::uint64_t epoch, std::string id) {
  const std::scoped_lock lock(mutex_);
  if (turn_to(epoch)) id_ = std::move(id);
}

void ShareInbox::end(std::uint64_t epoch, std::string why) {
  const std::scoped_lock lock(mutex_);
  if (turn_to(epoch)) end_ = std::move(why);
}

std::optional<std::string> ShareInbox::id_of(std::uint64_t epoch) const {
  const std::scoped_lock lock(mutex_);
  return epoch == epoch_ ? id_ : std::nullopt;
}

// An epoch that a newer one has replaced is over.
std::optional<std::string> ShareInbox::end_of(std::uint64_t epoch) const {
  const std::scoped_lock lock(mutex_);
  if (epoch < epoch_) return "there is a newer group";
  return epoch == epoch_ ? end_ : std::nullopt;
}

std::uint64_t ShareInbox::late() const {
  const std::scoped_lock lock(mutex_);
  return late_;
}

// ---- our place ----

WeightShare::WeightShare(std::shared_ptr<const NcclLibrary> library, SharePlace place, const ShareInbox& inbox, Voice voice)
    : library_(std::move(library)), place_(place), inbox_(inbox), voice_(std::move(voice)) {
  if (!is_root()) return;
  if (const auto id = Communicator::make_id(*library_)) {
    voice_.tell_id(*id);
    begin(*id);
  } else {
    give_up(id.error().message);
  }
}

void WeightShare::begin(const std::string& id) {
  auto begun = Communicator::begin(library_, id, place_.rank, place_.ranks);
  if (!begun) return give_up(begun.error().message);
  communicator_ = std::move(*begun);
}

WeightShare::State WeightShare::advance() {
  if (over_) return State::kOver;
  if (const auto end = inbox_.end_of(place_.epoch)) {
    close(*end);
    return State::kOver;
  }
  if (communicator_ == nullptr) {
    const auto id = inbox_.id_of(place_.epoch);
    if (id) begin(*id);
    if (communicator_ == nullptr) return over_ ? State::kOver : State::kForming;
  }
  const auto ready = communicator_->is_ready();
  if (!ready) {
    give_up(ready.error().message);
    return State::kOver;
  }
  return *ready ? State::kReady : State::kForming;
}

void WeightShare::complete() {
  if (!over_) tell("");
}

void WeightShare::give_up(const std::string& why) {
  if (over_) return;
  tell(why);  // first: the others need not wait for the end of our communicator
  close(why);
}

void WeightShare::close(const std::string& why) {
  over_ = true;
  why_over_ = why;
  communicator_.reset();
}

void WeightShare::tell(const std::string& why) {
  if (!std::exchange(told_, true)) voice_.tell_end(why);
}

}  // namespace kiln::lane
