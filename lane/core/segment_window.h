// Which decoded frames make up the input for each output frame of a segment. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace kiln::lane {

// Walks the outputs of a segment [first, last) while decoded frames arrive in order. Neighbours beyond the
// clip's ends are its first or last frame, as if the clip were rendered in one piece.
class SegmentWindow {
 public:
  struct Range {
    std::int64_t first = 0;
    std::int64_t last = 0;         // one past
    std::int64_t frames_before = 0;
    std::int64_t frames_after = 0;
    std::int64_t clip_frames = 0;
  };
  explicit SegmentWindow(const Range& range) : range_(range), next_(range.first) {}

  [[nodiscard]] std::int64_t read_first() const { return clamp(range_.first - range_.frames_before); }
  [[nodiscard]] std::int64_t read_end() const { return clamp(range_.last - 1 + range_.frames_after) + 1; }

  // The next output that can be made once frame `newest` is there, or nullopt.
  [[nodiscard]] std::optional<std::int64_t> ready(std::int64_t newest) const;
  // The frames that output `index` looks at, in order; repeated at the clip's ends.
  [[nodiscard]] std::vector<std::int64_t> inputs(std::int64_t index) const;
  void advance() { ++next_; }
  // Frames below this are not needed any more.
  [[nodiscard]] std::int64_t oldest_needed() const { return clamp(next_ - range_.frames_before); }
  [[nodiscard]] bool complete() const { return next_ >= range_.last; }

 private:
  [[nodiscard]] std::int64_t clamp(std::int64_t index) const;

  Range range_;
  std::int64_t next_;
};

}  // namespace kiln::lane
