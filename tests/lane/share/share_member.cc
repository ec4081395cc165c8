// A lane that does nothing but load weights, on a card or into plain memory: all of lane/lane_share.h, and of what it stands on.
// tests/lane/share/share_rig.cc starts it, and says which field of a message holds what. With SHARE_MEMBER_NCCL, a library, it
// stands where a true worker starts its lanes, and plain memory stands where that has a card; lane SHARE_MEMBER_VICTIM of these
// is killed in mid-broadcast.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "base/bounded_queue.h"
#include "base/log.h"
#include "base/sealed_file.h"
#include "base/sha256.h"
#include "lane/lane_share.h"
#include "net/lane_codec.h"
#include "tests/lane/share/member_memory.h"
#include "tests/lane/share/share_rig.h"

namespace kiln::lane {
namespace {

constexpr int kChunksOfVictim = 20;
constexpr std::size_t kSmallChunk = std::size_t{1} << 10U;
constexpr std::size_t kLargeFrom = std::size_t{1} << 30U;

// Ends, or stops, this process once so many chunks were broadcast.
class EndingDevice final : public TransferDevice {
 public:
  EndingDevice(std::unique_ptr<TransferDevice> inner, const int& killed_after, const int& stopped_after)
      : inner_(std::move(inner)), killed_after_(killed_after), stopped_after_(stopped_after) {}
  Status enter() override { return inner_->enter(); }
  Result<std::byte*> staging(std::size_t bytes) override { return inner_->staging(bytes); }
  Status copy(std::byte* to, const std::byte* staged, std::size_t bytes) override { return inner_->copy(to, staged, bytes); }
  CUstream_st* broadcasts() override { return inner_->broadcasts(); }
  Status mark(TransferOrder order, std::size_t slot) override { return inner_->mark(order, slot); }
  Result<bool> is_reached(TransferOrder order, std::size_t slot) override {
    auto reached = inner_->is_reached(order, slot);
    if (order == TransferOrder::kBroadcasts && reached && *reached) {
      ++done_;
      if (done_ == killed_after_) ::kill(::getpid(), SIGKILL);
      if (done_ == stopped_after_) ::kill(::getpid(), SIGSTOP);
    }
    return reached;
  }

 private:
  std::unique_ptr<TransferDevice> inner_;
  const int& killed_after_;
  const int& stopped_after_;
  int done_ = 0;
};

class Member {
 public:
  explicit Member(int channel) : channel_(UniqueFd(channel)), outbox_(channel_) {}

  int run() {
    while (true) {
      auto message = receive();
      if (!message) return 1;
      if (const auto* set_up = std::get_if<net::SetUp>(&message->first)) begin(*set_up);
      if (share_) break;
    }
    outbox_.send(net::Hello{});
    std::thread receiver([this] { receive_all(); });
    receiver.detach();  // it ends this process
    while (true) handle(*queue_.pop());
  }

 private:
  using Message = std::pair<net::ToLane, std::vector<UniqueFd>>;

  std::optional<Message> receive() {
    auto received = channel_.receive();
    if (!received || !*received) return std::nullopt;
    auto message = net::decode_to_lane((*received)->bytes);
    if (!message) return std::nullopt;
    return Message{std::move(*message), std::move((*received)->descriptors)};
  }

  void receive_all() {
    while (auto message = receive()) {
      if (const auto* id = std::get_if<net::ShareId>(&message->first)) share_->hear(*id);
      if (const auto* over = std::get_if<net::ShareOver>(&message->first)) share_->hear(*over);
      queue_.push(std::move(*message));
    }
    ::_exit(0);
  }

  void begin(const net::SetUp& set_up) {
    const char* nccl = std::getenv("SHARE_MEMBER_NCCL");
    of_true_worker_ = nccl != nullptr;
    const char* victim = std::getenv("SHARE_MEMBER_VICTIM");
    if (of_true_worker_ && victim != nullptr && std::to_string(set_up.lane.value) == victim) killed_after_ = kChunksOfVictim;
    memory_ = make_member_memory(of_true_worker_ ? "host" : set_up.device);
    (void)memory_->free_bytes();  // opens the card
    BroadcastRules rules;
    if (of_true_worker_) {
      rules.chunk_bytes = kSmallChunk;
    } else {
      rules.chunk_bytes = set_up.ring_bytes;
      rules.patience = std::chrono::milliseconds(set_up.threads);
      rules.root_patience = std::chrono::milliseconds(set_up.encoder_threads);
    }
    const auto make_device = [this]() -> Result<std::unique_ptr<TransferDevice>> {
      KILN_TRY_ASSIGN(auto device, memory_->make_device());
      return std::unique_ptr<TransferDevice>(std::make_unique<EndingDevice>(std::move(device), killed_after_, stopped_after_));
    };
    rules_ = rules;
    make_device_ = make_device;
    share_ = std::make_unique<LaneShare>(outbox_, make_device, of_true_worker_ ? nccl : set_up.answers_folder, rules);
  }

  void handle(const Message& message) {
    if (const auto* open = std::get_if<net::OpenShare>(&message.first)) {
      free_before_ = memory_->free_bytes();
      share_->open(*open);
    } else if (const auto* load = std::get_if<net::LoadPackage>(&message.first)) {
      if (const Status loaded = this->load(*load, message.second.back().get()); !loaded) {
        log::error("{}", loaded.error().message);
        ::_exit(1);
      }
    } else {
      share_->look();
    }
  }

  Status load(const net::LoadPackage& message, int weights) {
    bool hashes = false;
    if (!of_true_worker_) {
      killed_after_ = static_cast<int>(message.graphs.at(0));
      stopped_after_ = static_cast<int>(message.graphs.at(1));
      hashes = message.graphs.at(2) != 0;
    }
    const double begun = steady_seconds();
    KILN_TRY_ASSIGN(const Mapping mapping, Mapping::map(weights));
    KILN_TRY_ASSIGN(const auto targets, make_targets(mapping.bytes()));
    WeightDelivery* way = share_->way_for(message.share);
    WeightCounts counts;
    if (way != nullptr) {
      const Status delivered = way->deliver(targets);
      counts = share_->counts();
      share_->end_load(delivered.has_value());
      KILN_TRY(delivered);
    } else {
      KILN_TRY_ASSIGN(auto device, make_device_());
      WeightBroadcast alone(std::move(device), nullptr, rules_);
      std::vector<WeightTarget> all;
      for (const auto& target : targets) all.push_back({target.device, target.host});
      KILN_TRY(alone.deliver(all));
      counts = alone.counts();
    }
    const double ended = steady_seconds();
    net::PackageLoaded loaded;
    loaded.weights_bytes = mapping.bytes().size();
    loaded.weights_copied_bytes = counts.copied_bytes;
    loaded.weights_received_bytes = counts.received_bytes;
    loaded.peak_activation_bytes = device_bytes_;
    std::string hash = "-";
    if (hashes) {
      KILN_TRY_ASSIGN(hash, memory_->hash());
    }
    loaded.inputs.push_back({fmt::format("{:.6f} {:.6f} {}", begun, ended, hash), {}, {}});
    outbox_.send(loaded);
    return {};
  }

  // As a transformer's: large ones, with small ones between.
  Result<std::vector<WeightDelivery::Target>> make_targets(std::span<const std::byte> weights) {
    static constexpr std::array<std::size_t, 4> kLarge{52'428'800, 10'240, 141'557'760, 20'482};
    static constexpr std::array<std::size_t, 4> kSmall{524'288, 1'024, 1'415'577, 2'049};
    const auto& sizes = weights.size() > kLargeFrom ? kLarge : kSmall;
    const std::uint64_t free_now = memory_->free_bytes();
    device_bytes_ = free_before_ > free_now ? free_before_ - free_now : 0;
    KILN_TRY_ASSIGN(std::byte* to, memory_->allocate(weights.size()));
    std::vector<WeightDelivery::Target> out;
    for (std::size_t i = 0; !weights.empty(); ++i) {
      const std::size_t bytes = std::min(sizes.at(i % sizes.size()), weights.size());
      out.push_back({to, weights.first(bytes)});
      to += bytes;
      weights = weights.subspan(bytes);
    }
    return out;
  }

  net::LocalChannel channel_;
  Outbox outbox_;
  BoundedQueue<Message> queue_{64};
  std::unique_ptr<MemberMemory> memory_;
  LaneShare::DeviceMaker make_device_;
  BroadcastRules rules_;
  std::unique_ptr<LaneShare> share_;
  bool of_true_worker_ = false;
  int killed_after_ = 0;
  int stopped_after_ = 0;
  std::uint64_t free_before_ = 0;
  std::uint64_t device_bytes_ = 0;
};

}  // namespace
}  // namespace kiln::lane

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  kiln::log::set_up(std::string("member ") + argv[4], kiln::log::Level::kInfo);
  std::signal(SIGPIPE, SIG_IGN);
  kiln::lane::Member member(std::atoi(argv[2]));
  return member.run();
}
