// Finds and opens what `kiln run` needs around its lanes: programs, key, store, compile child.
#pragma once

#include "cli/upscale/upscale_session.h"

namespace kiln::cli {

// Takes the lock of the state folder (exit code 75 when another command holds it). Without Python the
// lanes still run, uncompiled, when `torch_folder` is known.
[[nodiscard]] Result<SessionHost> open_session_host(FileSystem& files, const UpscaleOptions& options);

}  // namespace kiln::cli
