// A lane's place in a group of lanes that load one package together: its communicator, and when it is over.
//
// Who is in a group, and that somebody has left it, is the worker's word. It reaches ShareInbox from the thread that hears the
// worker; WeightShare belongs to the thread that loads packages, and only that thread speaks to NCCL.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "lane/gpu/communicator.h"

namespace kiln::lane {

// What the worker says of groups. Any thread. Of the newest epoch that was spoken of; of older ones nothing is kept.
class ShareInbox {
 public:
  void put_id(std::uint64_t epoch, std::string id);
  void end(std::uint64_t epoch, std::string why);
  [[nodiscard]] std::optional<std::string> id_of(std::uint64_t epoch) const;
  [[nodiscard]] std::optional<std::string> end_of(std::uint64_t epoch) const;
  [[nodiscard]] std::uint64_t late() const;  // words of epochs that were over

 private:
  [[nodiscard]] bool turn_to(std::uint64_t epoch);  // false: it is an older one
  mutable std::mutex mutex_;
  std::uint64_t epoch_ = 0;
  std::optional<std::string> id_;
  std::optional<std::string> end_;
  std::uint64_t late_ = 0;
};

struct SharePlace {
  std::uint64_t epoch = 0;
  int rank = 0;  // 0: the one that reads the host's copy
  int ranks = 0;
};

class WeightShare {
 public:
  struct Voice {  // to the worker
    std::function<void(const std::string& id)> tell_id;
    // Once: we have all ("") or take no more part, and why.
    std::function<void(const std::string& why)> tell_end;
  };
  // `inbox` outlives it. A root that cannot make an identity is over at once.
  WeightShare(std::shared_ptr<const NcclLibrary> library, SharePlace place, const ShareInbox& inbox, Voice voice);

  enum class State { kForming, kReady, kOver };
  // Looks at what has happened since: never waits, but for giving up the communicator.
  State advance();
  [[nodiscard]] const SharePlace& place() const { return place_; }
  [[nodiscard]] bool is_root() const { return place_.rank == 0; }
  [[nodiscard]] Communicator& communicator() { return *communicator_; }  // while kReady
  [[nodiscard]] const std::string& why_over() const { return why_over_; }
  // All is here. The communicator stays until the worker says that all others have it, too.
  void complete();
  // For us it is over.
  void give_up(const std::string& why);

 private:
  void begin(const std::string& id);
  void close(const std::string& why);
  void tell(const std::string& why);

  std::shared_ptr<const NcclLibrary> library_;
  const SharePlace place_;
  const ShareInbox& inbox_;
  const Voice voice_;
  std::unique_ptr<Communicator> communicator_;
  bool over_ = false;
  bool told_ = false;
  std::string why_over_;
};

}  // namespace kiln::lane
