#include "lane/gpu/device_tiles.h"

#include <ATen/Functions.h>
#include <ATen/core/Tensor.h>
#include <c10/core/InferenceMode.h>

#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

constexpr std::int64_t kChannels = 3;
constexpr std::int64_t kRows = 2;     // dimension of a frame
constexpr std::int64_t kColumns = 3;

// Which pixel of the frame stands at each place of a window's axis: mirrored beyond the edge, as the importer's checks
// and the planner assume.
at::Tensor mirrored(int first, std::int64_t count, int frame_size, const at::Device& device) {
  at::Tensor indices = at::empty({count}, at::TensorOptions().dtype(at::kLong));
  auto* data = indices.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    data[i] = sharding::reflected_index(first + static_cast<int>(i), frame_size);
  }
  return indices.to(device);
}

struct Mirror {
  at::Tensor rows;     // undefined: none of the window's rows lies beyond the frame
  at::Tensor columns;
};

}  // namespace

struct DeviceTiles::State {
  Network& network;
  TileShape tile;
  std::vector<sharding::TileWindow> windows;
  int scale;
  std::vector<Mirror> mirrors;  // of each window; made with the first frame
  at::Tensor assembled;

  void make_mirrors(const at::Tensor& frame) {
    for (const sharding::TileWindow& window : windows) {
      Mirror mirror;
      if (window.pad_bottom > 0) {
        mirror.rows = mirrored(window.y, tile.height, static_cast<int>(frame.size(kRows)), frame.device());
      }
      if (window.pad_right > 0) {
        mirror.columns = mirrored(window.x, tile.width, static_cast<int>(frame.size(kColumns)), frame.device());
      }
      mirrors.push_back(std::move(mirror));
    }
  }

  [[nodiscard]] at::Tensor cut(const at::Tensor& frame, std::size_t index) const {
    const sharding::TileWindow& window = windows[index];
    const Mirror& mirror = mirrors[index];
    const at::Tensor rows = mirror.rows.defined() ? frame.index_select(kRows, mirror.rows)
                                                  : frame.narrow(kRows, window.y, tile.height);
    return mirror.columns.defined() ? rows.index_select(kColumns, mirror.columns)
                                    : rows.narrow(kColumns, window.x, tile.width);
  }

  [[nodiscard]] at::Tensor gather(std::span<const at::Tensor> frames, std::size_t index) const {
    if (frames.size() == 1) return cut(frames.front(), index).contiguous(at::MemoryFormat::ChannelsLast);
    std::vector<at::Tensor> cuts;
    for (const at::Tensor& frame : frames) cuts.push_back(cut(frame, index).squeeze(0));
    return at::stack(cuts).unsqueeze(0).contiguous();
  }

  void keep(const at::Tensor& made, const sharding::TileWindow& window) {
    const std::int64_t height = std::int64_t{window.keep_height} * scale;
    const std::int64_t width = std::int64_t{window.keep_width} * scale;
    const std::int64_t from_y = std::int64_t{window.keep_y - window.y} * scale;
    const std::int64_t from_x = std::int64_t{window.keep_x - window.x} * scale;
    assembled.narrow(kRows, std::int64_t{window.keep_y} * scale, height)
        .narrow(kColumns, std::int64_t{window.keep_x} * scale, width)
        .copy_(made.narrow(kRows, from_y, height).narrow(kColumns, from_x, width));
  }

  [[nodiscard]] bool is_whole(const at::Tensor& frame) const {
    return windows.size() == 1 && frame.size(kRows) == tile.height && frame.size(kColumns) == tile.width;
  }

  Status run_whole(Executor executor, std::span<const at::Tensor> frames, at::Tensor& out) {
    at::Tensor input = frames.front();
    if (frames.size() > 1) {
      std::vector<at::Tensor> all;
      for (const at::Tensor& frame : frames) all.push_back(frame.squeeze(0));
      input = at::stack(all).unsqueeze(0).contiguous();
    }
    return network.run_on_device(executor, input, tile, out);
  }

  Status run_tiles(Executor executor, std::span<const at::Tensor> frames, at::Tensor& out) {
    const at::Tensor& first = frames.front();
    if (mirrors.empty()) make_mirrors(first);
    if (!assembled.defined()) {
      assembled = at::empty({1, kChannels, first.size(kRows) * scale, first.size(kColumns) * scale}, first.options(),
                            at::MemoryFormat::ChannelsLast);
    }
    for (std::size_t i = 0; i < windows.size(); ++i) {
      at::Tensor made;
      KILN_TRY(network.run_on_device(executor, gather(frames, i), tile, made));
      keep(made, windows[i]);
    }
    out = assembled;
    return {};
  }
};

DeviceTiles::DeviceTiles(Network& network, TileShape tile, std::vector<sharding::TileWindow> windows, int model_scale)
    : state_(new State{network, tile, std::move(windows), model_scale, {}, {}}) {}
DeviceTiles::~DeviceTiles() = default;

Status DeviceTiles::run(Executor executor, std::span<const at::Tensor> frames, at::Tensor& out) {
  try {
    const c10::InferenceMode inference;
    if (state_->is_whole(frames.front())) return state_->run_whole(executor, frames, out);
    return state_->run_tiles(executor, frames, out);
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("tiling a frame"));
  }
}

}  // namespace kiln::lane
