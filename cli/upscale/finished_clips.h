// Clips whose outputs are in their places while the command is not done: a repeated command leaves them alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "cli/upscale/upscale_report.h"

namespace kiln::cli {

struct FinishedClip {
  ClipReport report;
  std::string output_state;  // see image_files.h
};
[[nodiscard]] std::string encode_finished(const FinishedClip& clip);
[[nodiscard]] Result<FinishedClip> decode_finished(std::string_view text);

// One small file for each, below `<state>/jobs`. Borrowed `files` outlive it.
class FinishedClips {
 public:
  [[nodiscard]] static Result<FinishedClips> open(FileSystem& files, const std::string& state);

  // `identity`: SHA-256 hex over all that was asked for. nullopt: there is none, or the output is another one by now.
  [[nodiscard]] std::optional<ClipReport> find(const std::string& identity, const std::string& output) const;
  // Durable when it returns.
  [[nodiscard]] Status record(const std::string& identity, const FinishedClip& clip) const;
  void forget(const std::string& identity) const;

 private:
  FinishedClips(FileSystem& files, std::string folder) : files_(&files), folder_(std::move(folder)) {}
  [[nodiscard]] std::string path_of(const std::string& identity) const;

  FileSystem* files_;
  std::string folder_;
};

}  // namespace kiln::cli
