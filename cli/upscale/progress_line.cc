#include "cli/upscale/progress_line.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "cli/farm/farm_output.h"

namespace kiln::cli {
namespace {

constexpr double kSpeedWindowS = 20.0;
constexpr int kBarWidth = 24;
constexpr int kColumnsDefault = 80;

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kColumnsDefault;
  return size.ws_col;
}

std::string bar(const ProgressState& state) {
  const double share = state.frames_total == 0
                           ? 0.0
                           : static_cast<double>(state.frames_done) / static_cast<double>(state.frames_total);
  const int full = std::clamp(static_cast<int>(share * kBarWidth), 0, kBarWidth);
  return std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(kBarWidth - full), '.');
}

}  // namespace

std::string progress_text(const ProgressState& state, double frames_per_second, int columns) {
  if (!state.stage.stage.empty() && state.frames_done == 0) {
    std::string text = stage_text(state.stage);
    if (text.size() > static_cast<std::size_t>(columns)) text.resize(static_cast<std::size_t>(columns));
    return text;
  }
  std::string left = "  --:-- left";
  if (frames_per_second > 0.0) {
    const auto frames_left = static_cast<double>(state.frames_total - state.frames_done);
    left = fmt::format("  {} left", format_seconds(frames_left / frames_per_second));
  }
  std::string text = fmt::format("[{}] {}/{} frames  {:.1f} fps{}  {} lane{}", bar(state), state.frames_done,
                                 state.frames_total, frames_per_second, left, state.lanes,
                                 state.lanes == 1 ? "" : "s");
  if (state.compiling) text += "  compiling";
  if (text.size() > static_cast<std::size_t>(columns)) text.resize(static_cast<std::size_t>(columns));
  return text;
}

ProgressLine::ProgressLine(bool enabled) : enabled_(enabled && ::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::show(const ProgressState& state, double elapsed_s) {
  if (!enabled_) return;
  recent_.emplace_back(elapsed_s, state.frames_done);
  while (recent_.size() > 2 && recent_.front().first < elapsed_s - kSpeedWindowS) recent_.pop_front();
  const double seconds = elapsed_s - recent_.front().first;
  const auto frames = static_cast<double>(state.frames_done - recent_.front().second);
  const double speed = seconds > 0.0 ? frames / seconds : 0.0;
  fmt::print(stderr, "\r\x1b[K{}", progress_text(state, speed, terminal_columns() - 1));
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::say(const std::string& text) {
  clear();
  fmt::print(stderr, "{}\n", text);
}

void ProgressLine::clear() {
  if (shown_) fmt::print(stderr, "\r\x1b[K");
  shown_ = false;
}

}  // namespace kiln::cli
