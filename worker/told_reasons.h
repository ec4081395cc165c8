// Why there is no connection, for the log: the answers of a coordinator that refuses come in turns, at every try to connect.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace kiln::worker {

// Reasons name an address or a key of ours and are a handful; the bound holds if they ever name more.
inline constexpr std::size_t kToldReasonsMax = 16;

class ToldReasons {
 public:
  // True once for each reason, until clear(): it is to be told. Beyond the bound nothing is.
  [[nodiscard]] bool is_new(const std::string& reason) {
    if (reason.empty() || told_.contains(reason)) return false;
    if (told_.size() >= kToldReasonsMax) {
      ++untold_;
      return false;
    }
    told_.insert(reason);
    return true;
  }
  [[nodiscard]] std::uint64_t untold() const { return untold_; }  // times that a new one was beyond the bound
  void clear() { told_.clear(); }  // the connection was made: the next one that is lost has its own story

 private:
  std::set<std::string> told_;
  std::uint64_t untold_ = 0;
};

}  // namespace kiln::worker
