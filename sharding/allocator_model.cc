#include "sharding/allocator_model.h"

#include <iterator>

namespace kiln::sharding {
namespace {

// Of c10/core/AllocatorConfig.h.
constexpr std::uint64_t kGrain = 512;
constexpr std::uint64_t kSmallMost = 1ULL << 20U;         // what is larger comes out of other segments
constexpr std::uint64_t kSmallSegment = 2ULL << 20U;
constexpr std::uint64_t kSharedSegment = 20ULL << 20U;    // of what is larger, and smaller than …
constexpr std::uint64_t kOwnSegmentLeast = 10ULL << 20U;  // … this
constexpr std::uint64_t kOwnSegmentGrain = 2ULL << 20U;

std::uint64_t rounded_up(std::uint64_t bytes, std::uint64_t grain) { return (bytes + grain - 1) / grain * grain; }

std::uint64_t segment_bytes(std::uint64_t bytes) {
  if (bytes <= kSmallMost) return kSmallSegment;
  return bytes < kOwnSegmentLeast ? kSharedSegment : rounded_up(bytes, kOwnSegmentGrain);
}

bool is_worth_splitting(std::uint64_t left, bool small) { return small ? left >= kGrain : left > kSmallMost; }

}  // namespace

AllocatorModel::Block AllocatorModel::take(std::uint64_t bytes) {
  if (bytes == 0) return 0;
  const std::uint64_t size = rounded_up(bytes, kGrain);
  const bool small = size <= kSmallMost;
  auto& free = free_pieces(small);
  auto found = free.lower_bound({size, 0});
  if (found == free.end()) {
    const std::uint64_t segment = segment_bytes(size);
    pieces_[next_address_] = {segment, next_address_, small, true};
    found = free.insert({segment, next_address_}).first;
    next_address_ += segment + 1;
    reserved_bytes_ += segment;
  }
  const Block block = found->second;
  free.erase(found);
  Piece& piece = pieces_.at(block);
  piece.free = false;
  const std::uint64_t left = piece.bytes - size;
  if (is_worth_splitting(left, small)) {
    piece.bytes = size;
    pieces_[block + size] = {left, piece.segment, small, true};
    free.insert({left, block + size});
  }
  return block;
}

// A free piece behind a free one becomes part of it.
void AllocatorModel::join_next(Pieces::iterator piece) {
  const auto next = std::next(piece);
  if (next == pieces_.end() || !next->second.free || next->second.segment != piece->second.segment) return;
  auto& free = free_pieces(piece->second.small);
  free.erase({next->second.bytes, next->first});
  free.erase({piece->second.bytes, piece->first});
  piece->second.bytes += next->second.bytes;
  free.insert({piece->second.bytes, piece->first});
  pieces_.erase(next);
}

void AllocatorModel::give_back(Block block) {
  const auto piece = pieces_.find(block);
  if (piece == pieces_.end() || piece->second.free) return;
  piece->second.free = true;
  free_pieces(piece->second.small).insert({piece->second.bytes, block});
  join_next(piece);
  if (piece == pieces_.begin()) return;
  const auto before = std::prev(piece);
  if (before->second.free) join_next(before);
}

}  // namespace kiln::sharding
