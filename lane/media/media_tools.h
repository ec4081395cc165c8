// The ffmpeg and ffprobe that a lane calls: where they are, what build they are, what they can do.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "lane/media/tool_answers.h"

namespace kiln::lane {

struct MediaTools {
  std::string ffmpeg_path;
  std::string ffprobe_path;
  std::string version;   // as printed: "5.1.9-0+deb12u1"
  int major_version = 0; // 0: a build from git
  std::string identity;  // SHA-256 of everything `ffmpeg -version` prints: version, configuration, libraries
  std::vector<std::string> encoders;  // sorted
  std::vector<std::string> decoders;  // sorted; by codec name where ffmpeg has several for one
  std::shared_ptr<ToolAnswers> answers;  // what else it can be asked

  [[nodiscard]] bool has_encoder(std::string_view name) const;
  [[nodiscard]] bool has_decoder(std::string_view name) const;
};

// Tried in this order; what is given must work, the rest may be absent.
struct MediaToolsSearch {
  std::string ffmpeg;             // a path or empty. Its ffprobe is the file of the same name beside it
  std::string program_directory;  // where kiln-lane lies, or empty; a bundle carries its own tools there
  std::string answers_folder;     // of ToolAnswers
};

// kNotFound with what to install when there is none, exit code 78 when a given one does not
// run or is older than 5.1.
[[nodiscard]] Result<MediaTools> find_media_tools(const MediaToolsSearch& search);

}  // namespace kiln::lane
