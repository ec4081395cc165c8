// One line on a terminal that shows how far the job is; nothing where stderr is no terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "net/shot.h"

namespace kiln::cli {

struct ProgressState {
  std::int64_t frames_done = 0;
  std::int64_t frames_total = 0;
  std::int64_t frames_compiled = 0;
  std::size_t lanes = 0;
  bool compiling = false;
  net::StageProgress stage{};  // of a shot
};

class ProgressLine {
 public:
  explicit ProgressLine(bool enabled);
  ~ProgressLine();

  void show(const ProgressState& state, double elapsed_s);
  // A line of its own above the progress line. Printed also where there is no terminal.
  void say(const std::string& text);
  void clear();

 private:
  bool enabled_;
  bool shown_ = false;
  std::deque<std::pair<double, std::int64_t>> recent_;  // (second, frames done): what the speed is taken from
};

// Pure: the text of the line, at most `columns` wide.
[[nodiscard]] std::string progress_text(const ProgressState& state, double frames_per_second, int columns);

}  // namespace kiln::cli
