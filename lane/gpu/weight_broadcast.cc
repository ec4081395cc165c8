#include "lane/gpu/weight_broadcast.h"

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace kiln::lane {
namespace {

using Clock = std::chrono::steady_clock;
using State = WeightShare::State;

constexpr std::chrono::microseconds kBetweenLooks{50};

std::vector<std::uint64_t> sizes_of(std::span<const WeightTarget> targets) {
  std::vector<std::uint64_t> out;
  for (const WeightTarget& target : targets) out.push_back(target.host.size());
  return out;
}

}  // namespace

// One call of deliver(). Chunks are copied, and broadcast, strictly in order.
class WeightBroadcast::Delivery {
 public:
  Delivery(WeightBroadcast& owner, std::span<const WeightTarget> targets)
      : device_(*owner.device_), share_(owner.share_), rules_(owner.rules_), counts_(owner.counts_), targets_(targets),
        chunks_(plan_chunks(sizes_of(targets), rules_.chunk_bytes)) {}

  Status run() {
    KILN_TRY(device_.enter());
    moved_at_ = Clock::now();
    while (!is_done()) {
      moved_ = false;
      state_ = share_ == nullptr ? State::kOver : share_->advance();
      if (is_copier()) KILN_TRY(copy_some());
      if (state_ == State::kReady) KILN_TRY(broadcast_some());
      if (!moved_) wait_a_little();
    }
    return {};
  }

 private:
  [[nodiscard]] bool is_root() const { return share_ != nullptr && share_->is_root(); }
  [[nodiscard]] bool is_copier() const { return is_root() || state_ == State::kOver; }
  [[nodiscard]] bool has_all() const { return here_ == chunks_.size(); }
  [[nodiscard]] bool is_done() const {
    const bool owes_others = is_root() && state_ != State::kOver && shared_ < chunks_.size();
    return has_all() && !owes_others;
  }

  // Chunks up to here_ are on the card: copied, or received.
  Status copy_some() {
    if (!feed_ && !has_all()) KILN_TRY(begin_copies());
    if (copies_ < chunks_.size() && copies_ - here_ < kTransferSlots && feed_->has(copies_)) {
      KILN_TRY(copy_chunk(copies_));
      KILN_TRY(device_.mark(TransferOrder::kCopies, copies_ % kTransferSlots));
      counts_.copied_bytes += chunks_[copies_].bytes;
      ++copies_;
      move();
    }
    while (here_ < copies_) {
      KILN_TRY_ASSIGN(const bool done, device_.is_reached(TransferOrder::kCopies, here_ % kTransferSlots));
      if (!done) break;
      feed_->release(here_++);
      move();
    }
    return {};
  }

  Status begin_copies() {
    copies_ = here_;
    const auto largest = std::max_element(chunks_.begin(), chunks_.end(),
                                          [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
    HostFeed::Slots slots{nullptr, std::min(kTransferSlots, chunks_.size()), largest->bytes};
    KILN_TRY_ASSIGN(slots.memory, device_.staging(slots.count * slots.bytes));
    feed_.emplace(chunks_, targets_, slots, here_);
    return {};
  }

  Status copy_chunk(std::size_t chunk) {
    const std::byte* staged = feed_->slot_of(chunk);
    for (const WeightPiece& piece : chunks_[chunk].pieces) {
      KILN_TRY(device_.copy(targets_[piece.tensor].device + piece.offset, staged, piece.bytes));
      staged += piece.bytes;
    }
    return {};
  }

  // The root sends what is on its card; the others ask for as much as may be on its way. What NCCL does not take ends the
  // group, and not the load.
  Status broadcast_some() {
    KILN_TRY(mark_last());
    const std::size_t allowed = is_root() ? here_ : chunks_.size();
    if (asked_ < allowed && asked_ - shared_ < kTransferSlots) {
      if (const Status begun = share_->communicator().broadcast(ranges_of(asked_), device_.broadcasts()); !begun) {
        share_->give_up(begun.error().message);
        return {};
      }
      to_mark_ = true;
      ++asked_;
      move();
      state_ = share_->advance();  // until it is ready again, the work may not be in the stream's order yet
    }
    if (state_ == State::kReady) KILN_TRY(mark_last());
    return take_broadcasts();
  }

  Status mark_last() {
    if (!std::exchange(to_mark_, false)) return {};
    return device_.mark(TransferOrder::kBroadcasts, (asked_ - 1) % kTransferSlots);
  }

  Status take_broadcasts() {
    while (shared_ < asked_ - (to_mark_ ? 1 : 0)) {
      KILN_TRY_ASSIGN(const bool done, device_.is_reached(TransferOrder::kBroadcasts, shared_ % kTransferSlots));
      if (!done) break;
      if (!is_root()) {
        counts_.received_bytes += chunks_[shared_].bytes;
        ++here_;
      }
      ++shared_;
      move();
    }
    return {};
  }

  std::vector<Communicator::Range> ranges_of(std::size_t chunk) const {
    std::vector<Communicator::Range> out;
    for (const WeightPiece& piece : chunks_[chunk].pieces) {
      out.push_back({targets_[piece.tensor].device + piece.offset, piece.bytes});
    }
    return out;
  }

  void move() {
    moved_ = true;
    moved_at_ = Clock::now();
  }

  // Our own watchdog: of a peer on the same host NCCL never says that it is gone.
  void wait_a_little() {
    const auto patience = is_root() && has_all() ? rules_.root_patience : rules_.patience;
    if (state_ != State::kOver && Clock::now() - moved_at_ > patience) {
      share_->give_up(fmt::format("no chunk for {} ms, after {} of {}", patience.count(), shared_, chunks_.size()));
      return move();
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }

  TransferDevice& device_;
  WeightShare* const share_;
  const BroadcastRules& rules_;
  WeightCounts& counts_;
  const std::span<const WeightTarget> targets_;
  const std::vector<WeightChunk> chunks_;
  std::optional<HostFeed> feed_;
  State state_ = State::kForming;
  std::size_t here_ = 0;    // on our card
  std::size_t copies_ = 0;  // asked for
  std::size_t asked_ = 0;   // broadcasts
  std::size_t shared_ = 0;  // of these, done
  bool to_mark_ = false;    // the last one has no mark yet
  bool moved_ = false;
  Clock::time_point moved_at_{};
};

WeightBroadcast::WeightBroadcast(std::unique_ptr<TransferDevice> device, WeightShare* share, BroadcastRules rules)
    : device_(std::move(device)), share_(share), rules_(rules) {}

WeightBroadcast::~WeightBroadcast() = default;

Status WeightBroadcast::deliver(std::span<const WeightTarget> targets) {
  Status delivered = Delivery(*this, targets).run();
  if (!delivered && share_ != nullptr) share_->give_up(delivered.error().message);
  return delivered;
}

}  // namespace kiln::lane
