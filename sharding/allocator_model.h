// LibTorch's caching allocator on a card, as far as what it has of the driver depends on what is asked of it: rules of
// c10/cuda/CUDACachingAllocator.cpp of LibTorch 2.11 without settings of its own. Revisit with every new LibTorch. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace kiln::sharding {

// One stream's memory: blocks of one stream are never another's. Nothing is given back to the driver.
class AllocatorModel {
 public:
  using Block = std::uint64_t;  // 0: none

  [[nodiscard]] Block take(std::uint64_t bytes);
  void give_back(Block block);
  [[nodiscard]] std::uint64_t reserved_bytes() const { return reserved_bytes_; }

 private:
  struct Piece {
    std::uint64_t bytes = 0;
    std::uint64_t segment = 0;  // pieces of one segment become one again
    bool small = false;
    bool free = false;
  };
  using Pieces = std::map<Block, Piece>;

  void join_next(Pieces::iterator piece);
  [[nodiscard]] std::set<std::pair<std::uint64_t, Block>>& free_pieces(bool small) { return small ? small_ : large_; }

  Pieces pieces_;  // by address
  std::set<std::pair<std::uint64_t, Block>> small_;  // free ones, by size
  std::set<std::pair<std::uint64_t, Block>> large_;
  std::uint64_t next_address_ = 1;
  std::uint64_t reserved_bytes_ = 0;
};

}  // namespace kiln::sharding
