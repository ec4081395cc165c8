#include "lane/pipelines/latent_decoder.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "lane/engine/torch_types.h"

namespace kiln::lane {
namespace {

constexpr const char* kPart = "vae";
constexpr std::int64_t kRows = 3;  // dimensions of frames
constexpr std::int64_t kColumns = 4;

// Weights are the same tensors in both graphs, and are held once.
Result<std::vector<at::Tensor>> shared_weights(const sharding::GeneratorManifest& manifest,
                                               const std::vector<at::Tensor>& first) {
  const auto ours = manifest.parameters_of("decoder_first");
  std::vector<at::Tensor> tensors;
  for (const sharding::GeneratorParameter* parameter : manifest.parameters_of("decoder_next")) {
    const auto found = std::find_if(ours.begin(), ours.end(), [&](const auto* one) { return one->name == parameter->name; });
    if (found == ours.end()) return fail(input_refused("decoder_first has no parameter {}", parameter->name));
    tensors.push_back(first[static_cast<std::size_t>(found - ours.begin())]);
  }
  return tensors;
}

// The beginning of `tile` turns from the end of the one before it, `before`, into its own.
void blend(const at::Tensor& before, at::Tensor& tile, std::int64_t side, std::int64_t pixels) {
  pixels = std::min({pixels, before.size(side), tile.size(side)});
  if (pixels == 0) return;
  std::vector<double> shares;
  for (std::int64_t i = 0; i < pixels; ++i) shares.push_back(static_cast<double>(i) / static_cast<double>(pixels));
  std::vector<std::int64_t> shape(5, 1);
  shape[static_cast<std::size_t>(side)] = pixels;
  const at::Tensor share = at::tensor(shares, at::kDouble).view(shape);
  const auto options = tile.options();
  at::Tensor own = tile.narrow(side, 0, pixels);
  const at::Tensor other = before.narrow(side, before.size(side) - pixels, pixels);
  own.copy_(other.mul(share.neg().add_(1).to(options)).add_(own.mul(share.to(options))));
}

void move_to(std::vector<at::Tensor>& tensors, c10::Device device) {
  for (at::Tensor& tensor : tensors) tensor = tensor.to(device);
}

}  // namespace

// Windows of a clip, each with its caches.
struct LatentDecoder::TileRun {
  LatentWindows windows;
  std::vector<std::vector<at::Tensor>> caches;  // row by row
};

Result<LatentDecoder> LatentDecoder::create(const GeneratorPackage& package, sharding::GraphDtype dtype,
                                            const std::string& device) {
  const sharding::GeneratorComponent* component = package.manifest().find_component("decoder_next");
  if (component == nullptr) return fail(input_refused("{} has no component decoder_next", package.manifest().name));
  const std::size_t caches = component->inputs.size() - 1;
  KILN_TRY_ASSIGN(auto first, ComponentRunner::create(package, "decoder_first", 1, caches + 1, dtype, device));
  KILN_TRY_ASSIGN(auto next, ComponentRunner::create(package, "decoder_next", caches + 1, caches + 1, dtype, device));
  LatentDecoder decoder(package, std::move(first), std::move(next), dtype);
  KILN_TRY_ASSIGN(const PartWeights weights, PartWeights::open(package, kPart));
  KILN_TRY_ASSIGN(decoder.first_weights_, weights.load("decoder_first", 0, dtype, device));
  KILN_TRY_ASSIGN(decoder.next_weights_, shared_weights(package.manifest(), decoder.first_weights_));
  return decoder;
}

at::Tensor LatentDecoder::denormalised(const at::Tensor& latents) const {
  const auto channels = [&](const std::vector<double>& values) {
    const at::Tensor numbers = at::tensor(values, at::kDouble).to(latents.device(), to_torch(dtype_));
    return numbers.view({1, manifest_->latent_channels, 1, 1, 1});
  };
  // Divided by the inverse, as diffusers does: a product rounds otherwise.
  return latents.to(to_torch(dtype_)).div(channels(manifest_->latent_std).reciprocal()).add_(channels(manifest_->latent_mean));
}

Result<at::Tensor> LatentDecoder::step(const at::Tensor& latent, std::vector<at::Tensor>& caches) const {
  const bool is_first = caches.empty();
  std::vector<at::Tensor> inputs = {latent};
  inputs.insert(inputs.end(), std::make_move_iterator(caches.begin()), std::make_move_iterator(caches.end()));
  caches.clear();
  KILN_TRY_ASSIGN(auto results, (is_first ? first_ : next_).run(std::move(inputs), is_first ? first_weights_ : next_weights_));
  at::Tensor frames = std::move(results.front());
  caches.assign(std::make_move_iterator(results.begin() + 1), std::make_move_iterator(results.end()));
  return frames;
}

Result<at::Tensor> LatentDecoder::step_in_tiles(const at::Tensor& latent, TileRun& run, const StopCheck& stop) const {
  const std::size_t columns = run.windows.columns.size();
  std::vector<at::Tensor> above(columns);  // tiles of the row before, blended
  std::vector<at::Tensor> rows;
  for (std::size_t row = 0; row < run.windows.rows.size(); ++row) {
    std::vector<at::Tensor> kept;
    for (std::size_t column = 0; column < columns; ++column) {
      KILN_TRY(check_stop(stop));
      const auto [top, height] = run.windows.rows[row];
      const auto [left, width] = run.windows.columns[column];
      std::vector<at::Tensor>& caches = run.caches[row * columns + column];
      move_to(caches, latent.device());
      KILN_TRY_ASSIGN(at::Tensor tile, step(latent.narrow(kRows, top, height).narrow(kColumns, left, width), caches));
      move_to(caches, c10::Device(c10::DeviceType::CPU));
      if (row > 0) blend(above[column], tile, kRows, run.windows.blend_pixels);
      if (column > 0) blend(above[column - 1], tile, kColumns, run.windows.blend_pixels);
      const std::int64_t stride = run.windows.stride_pixels;
      kept.push_back(tile.narrow(kRows, 0, std::min(stride, tile.size(kRows)))
                         .narrow(kColumns, 0, std::min(stride, tile.size(kColumns))));
      above[column] = std::move(tile);
    }
    rows.push_back(at::cat(kept, kColumns));
  }
  return at::cat(rows, kRows);
}

Status LatentDecoder::decode(const at::Tensor& latents, const std::optional<DecodeTiles>& tiles, const FrameSink& sink,
                             const StopCheck& stop) const {
  TileRun run;
  if (tiles) {
    KILN_TRY_ASSIGN(run.windows, lay_latent_windows(*tiles, latents.size(kRows), latents.size(kColumns), manifest_->stride_space));
    run.caches.resize(run.windows.rows.size() * run.windows.columns.size());
  }
  const bool whole = !tiles || run.windows.whole();
  std::vector<at::Tensor> caches;
  try {
    const c10::InferenceMode inference;
    const at::Tensor ready = denormalised(latents);
    for (std::int64_t i = 0; i < ready.size(2); ++i) {
      KILN_TRY(check_stop(stop));
      const at::Tensor latent = ready.narrow(2, i, 1);
      KILN_TRY_ASSIGN(at::Tensor frames, whole ? step(latent, caches) : step_in_tiles(latent, run, stop));
      if (!frames.isfinite().all().item<bool>()) {
        return fail(make_error(ErrorCode::kDataLoss, "latent frame {} of {}: its frames are no numbers (NaN or infinite)", i + 1,
                               ready.size(2)));
      }
      KILN_TRY(sink(frames.clamp_(-1, 1)));
    }
    return {};
  } catch (const std::exception&) {
    return fail(error_from_torch_exception("decoding the latents"));
  }
}

}  // namespace kiln::lane
