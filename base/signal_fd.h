// Signals as something to poll: they interrupt nothing and are read where the program wants them.
#pragma once

#include <initializer_list>

#include "base/fd.h"

namespace kiln {

// Blocks these signals for this thread and all that it starts, so call it before any is started. Each read gives a
// signalfd_siginfo; reading never waits.
[[nodiscard]] Result<UniqueFd> open_signal_fd(std::initializer_list<int> signals);
// The next signal that came, or 0.
[[nodiscard]] int take_signal(int signal_fd);

}  // namespace kiln
