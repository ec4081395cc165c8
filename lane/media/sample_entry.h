// The codec description of an MP4 track, made equal for all segments and complete for the output.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "lane/media/color_description.h"

namespace kiln::lane {

// An stsd box without what differs between segments of one encoder (its average rate), and with the
// colour tags that we were asked for, range included, which MOV's own form lacks. What some encoders say of HDR is
// taken out too: the join says it for all of them.
[[nodiscard]] Result<std::vector<std::byte>> normalised_description(std::span<const std::byte> stsd,
                                                                    const ColorDescription& color);

// The stsd box with `boxes` behind those of its only entry.
[[nodiscard]] std::vector<std::byte> with_boxes(std::vector<std::byte> stsd, std::span<const std::byte> boxes);

}  // namespace kiln::lane
