// One member of a group of lanes that hear the same broadcast. Nothing here blocks but abort(): NCCL works in threads of its
// own, and never says that a peer of the same host died.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "lane/gpu/nccl_library.h"

namespace kiln::lane {

// All calls come from the thread that made it.
class Communicator {
 public:
  // What the others of a group must be told before they can begin. The process that made it must live until all have.
  [[nodiscard]] static Result<std::string> make_id(const NcclLibrary& library);
  // Returns at once. `rank` 0 is the root.
  [[nodiscard]] static Result<std::unique_ptr<Communicator>> begin(std::shared_ptr<const NcclLibrary> library,
                                                                   const std::string& id, int rank, int ranks);
  ~Communicator() { abort(); }
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  [[nodiscard]] bool is_root() const { return rank_ == 0; }
  // False: what was asked for last is still being set up, and nothing may be asked for.
  [[nodiscard]] Result<bool> is_ready();
  struct Range {
    std::byte* data = nullptr;  // on the card
    std::size_t bytes = 0;
  };
  // Puts the root's ranges to those of the others into the stream's order. Everybody calls it with equal sizes.
  [[nodiscard]] Status broadcast(std::span<const Range> ranges, CUstream_st* stream);
  // Ends what is in flight, also where a peer is gone. Takes up to half a second; then nobody writes into the ranges any more.
  void abort();

 private:
  Communicator() = default;
  std::shared_ptr<const NcclLibrary> library_;
  ncclComm* comm_ = nullptr;
  int rank_ = 0;
};

}  // namespace kiln::lane
