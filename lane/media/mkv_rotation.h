// Says in a Matroska file that its picture is to be turned, where ffmpeg's muxer is too old to say so.
//
// Matroska keeps a turn as the roll of a projection. ffmpeg before 7 reads that, and writes a projection only for
// pictures of a sphere, roll included. So the join describes the picture as part of a sphere with that roll, and
// afterwards the file's projection is renamed to the flat one, in place: no byte moves. To be dropped with support for
// those versions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"

namespace kiln::lane {

// Counter-clockwise degrees, 90, 180 or 270; nullopt for mirrored and slanted pictures.
[[nodiscard]] std::optional<int> quarter_turn(const DisplayMatrix& matrix);

// Whether a Matroska file written by this ffmpeg, with our help, can say it.
[[nodiscard]] bool matroska_holds_turn(const MediaTools& tools, const DisplayMatrix& matrix);
// The turn that this join has to write itself: the container is Matroska and ffmpeg too old.
[[nodiscard]] std::optional<int> turn_to_mark(const MediaTools& tools, const ClipInfo& clip, Container container);

// The sv3d box of a sample entry.
[[nodiscard]] std::vector<std::byte> turn_boxes(int degrees);
// Arguments of the join: a checksum over the tracks would no longer fit.
[[nodiscard]] std::vector<std::string> turn_arguments();
// After the join.
[[nodiscard]] Status mark_as_turned(const std::string& matroska_file);

}  // namespace kiln::lane
