// Where the frames of a generated clip come from, as its encoding sees it. No tensors here.
#pragma once

#include <functional>

#include "base/result.h"
#include "lane/pipelines/tile_runner.h"
#include "net/shot.h"

namespace kiln::lane {

// Each is called from the thread that runs render().
struct ShotSink {
  std::function<Status(const RgbFrame& frame)> on_frame;  // in their order; an error ends the shot
  std::function<void(const net::StageProgress& progress)> on_progress;
  std::function<bool()> stop;  // true: the shot is to end; asked between two networks' runs
};

// One thread.
class ShotSource {
 public:
  virtual ~ShotSource() = default;
  [[nodiscard]] virtual Status render(const net::Shot& shot, const ShotSink& sink) = 0;
};

}  // namespace kiln::lane
