// PURE. What becomes of a source's audio, subtitles, attachments and pictures in another container.
#pragma once

#include <string>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/codec.h"

namespace kiln::lane {

// A picture that is to be attached to a Matroska file.
struct CoverPlan {
  int source_index = 0;
  int first_output_index = 0;  // of the first that is attached
  std::string file_name;
  std::string mime_type;
};

// A track that Matroska gets as it is.
struct OpusTrack {
  int source_index = 0;
  int audio_index = 0;  // among the sound tracks of the output
};

struct StreamPlan {
  std::vector<std::string> arguments;  // ffmpeg's, with the source as input 1
  std::vector<std::string> warnings;   // for people: what is converted or left out
  std::vector<CoverPlan> covers;
  std::vector<OpusTrack> opus;
};

// Everything that `container` can hold is copied. Audio that it cannot hold is re-encoded (lossless
// stays lossless), text subtitles are converted, the rest is left out; each with a warning.
[[nodiscard]] StreamPlan plan_streams(const ClipInfo& clip, Container container, const MediaTools& tools);

}  // namespace kiln::lane
