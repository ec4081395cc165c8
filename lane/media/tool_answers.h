// What one build of ffmpeg says of itself: its encoders, its decoders, what an encoder takes. Each question starts the
// program once (0.1 s where it has 200 libraries to load), and a lane asks before it can do anything, so answers are kept:
// in memory, and in a folder for the lanes that come after.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"

namespace kiln::lane {

class ToolAnswers {
 public:
  // `identity` changes with the build (MediaTools::identity): answers of another one, or of another file, are not looked
  // at. `folder` is ours alone, or empty: then answers last as long as this object.
  ToolAnswers(std::string ffmpeg, std::string identity, std::string folder);

  // What `ffmpeg ARGUMENTS` prints on stdout. Exit code 78 when it ends with an error, which is not kept. Thread-safe.
  [[nodiscard]] Result<std::string> ask(const std::vector<std::string>& arguments);

  // Without keeping anything.
  [[nodiscard]] static Result<std::string> ask_anew(const std::string& ffmpeg, const std::vector<std::string>& arguments);

 private:
  [[nodiscard]] std::string path_of(const std::string& question) const;

  const std::string ffmpeg_;
  const std::string identity_;
  const std::string folder_;
  std::mutex mutex_;
  std::map<std::string, std::string> answers_;  // by question
};

}  // namespace kiln::lane
