// What the server needs of a journal; coordinator/journal has the one on disk, tests have others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace kiln::coordinator {

// Appends come from one thread.
class FarmJournal {
 public:
  virtual ~FarmJournal() = default;
  // Queues encoded facts, to be durable together; returns the sequence number of the last one. kResourceExhausted
  // with exit code 74 once the journal has failed: nothing is acknowledged any more.
  [[nodiscard]] virtual Result<std::uint64_t> append(const std::vector<std::string>& facts) = 0;
  [[nodiscard]] virtual std::uint64_t durable_sequence() const = 0;
  [[nodiscard]] virtual int durable_fd() const = 0;  // readable when durable_sequence() rose or the journal failed
  virtual void clear_durable_fd() = 0;
  [[nodiscard]] virtual Status status() const = 0;  // why it failed
};

}  // namespace kiln::coordinator
