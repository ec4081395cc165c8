#include "lane/core/clip_size.h"

namespace kiln::lane {

Result<LatentSize> latent_size_of(const sharding::GeneratorManifest& manifest, const ClipSize& size) {
  KILN_TRY_ASSIGN(const sharding::LatentGrid grid, sharding::latent_grid_of(manifest, size));
  return LatentSize{manifest.latent_channels, grid.frames, grid.height, grid.width};
}

}  // namespace kiln::lane
