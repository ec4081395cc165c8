// Plain memory in a card's place; broadcasts are those of test_nccl.cc.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "lane/gpu/transfer_device.h"
#include "tests/lane/share/test_stream.h"

namespace kiln::lane {

class HostTransfer final : public TransferDevice {
 public:
  Status enter() override { return {}; }
  Result<std::byte*> staging(std::size_t bytes) override {
    staging_.resize(bytes);
    return staging_.data();
  }
  Status copy(std::byte* to, const std::byte* staged, std::size_t bytes) override {
    std::copy(staged, staged + bytes, to);
    return {};
  }
  CUstream_st* broadcasts() override { return reinterpret_cast<CUstream_st*>(stream_.get()); }
  Status mark(TransferOrder order, std::size_t slot) override {
    if (order == TransferOrder::kBroadcasts) marks_.at(slot) = stream_->queued;
    return {};
  }
  Result<bool> is_reached(TransferOrder order, std::size_t slot) override {
    if (order == TransferOrder::kCopies) return true;
    return stream_->done >= marks_.at(slot);
  }

 private:
  std::vector<std::byte> staging_;
  std::array<std::uint64_t, kTransferSlots> marks_{};
  // On the heap: a library that was given up late may still count in it.
  std::shared_ptr<TestStream> stream_ = std::make_shared<TestStream>();
};

}  // namespace kiln::lane
