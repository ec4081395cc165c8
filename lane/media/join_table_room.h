// PURE. How much room an MP4 leaves in front of its samples for the table that tells of them, so that they need not be moved
// once it is known.
#pragma once

#include <cstdint>

#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/join_timeline.h"

namespace kiln::lane {

// Of the file's bytes, at most one in so many is room that may stay empty.
inline constexpr std::int64_t kTableRoomShare = 64;

// 0: none is left. The output has no table, or holds tracks that nobody can say the number of packets of, or is so small that
// moving it costs nothing. By what lies in the first segment, so that a join may begin with it.
[[nodiscard]] std::int64_t table_room(const ClipInfo& clip, const EncoderSettings& settings, const Timeline& timeline);

}  // namespace kiln::lane
