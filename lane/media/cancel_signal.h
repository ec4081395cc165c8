// Ends what waits on ffmpeg from another thread.
#pragma once

#include "base/fd.h"

namespace kiln::lane {

// cancel() may be called from any thread, also a signal handler; once cancelled, always cancelled. Outlives every
// reader and writer that was given it.
class CancelSignal {
 public:
  CancelSignal();

  void cancel() const;
  [[nodiscard]] bool cancelled() const;
  [[nodiscard]] int fd() const { return event_.get(); }  // readable once cancelled

 private:
  UniqueFd event_;
};

}  // namespace kiln::lane
