#include "lane/media/encoder_trial.h"

#include <fmt/ranges.h>

#include <array>
#include <optional>

#include "base/atomic_file.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kKeptBytesMax = 64U << 10U;
constexpr std::uint64_t kOutputBytesMax = 1U << 20U;
constexpr std::string_view kKeptTitle = "kiln encoders 1";
constexpr std::string_view kFrames = "4";
constexpr std::string_view kSize = "640x384";  // all of them take it: small ones begin at other sizes on each generation

struct Trial {
  std::string_view encoder;
  std::string_view format;
};
// What outputs are made of (lane/media/codec.cc), as these encoders call it: 10 bits are p010le to them.
constexpr std::array kTrials{Trial{"h264_nvenc", "yuv420p"}, Trial{"h264_nvenc", "yuv444p"}, Trial{"hevc_nvenc", "yuv420p"},
                             Trial{"hevc_nvenc", "yuv444p"}, Trial{"hevc_nvenc", "p010le"},  Trial{"av1_nvenc", "yuv420p"},
                             Trial{"av1_nvenc", "p010le"}};

// Black frames of no file: raw zeros are a picture in each of these formats.
bool works(const MediaTools& tools, const Trial& trial) {
  SpawnOptions options;
  options.argv = {tools.ffmpeg_path, "-hide_banner", "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", std::string(trial.format),
                  "-s", std::string(kSize), "-r", "25", "-i", "/dev/zero", "-frames:v", std::string(kFrames), "-c:v",
                  std::string(trial.encoder), "-f", "null", "-"};
  options.set_env = {{"LC_ALL", "C"}};
  const auto output = run_command(std::move(options), kEncoderTrialDeadline, kOutputBytesMax);
  if (output && output->status.ok()) return true;
  log::debug("{} does not take {}: {}", trial.encoder, trial.format,
             output ? fmt::format("{} {}", output->status.describe(), trim(output->err)) : output.error().message);
  return false;
}

std::string title_of(const MediaTools& tools, const std::string& identity) {
  return fmt::format("{}\n{}\n{}\n", kKeptTitle, tools.identity, identity);
}

std::optional<std::vector<std::string>> read_kept(const std::string& path, const std::string& title) {
  const auto text = read_file(path, kKeptBytesMax);
  if (!text || !text->starts_with(title)) return std::nullopt;
  std::vector<std::string> found;
  for (const std::string_view line : split(std::string_view(*text).substr(title.size()), '\n')) {
    if (!line.empty()) found.emplace_back(line);
  }
  return found;
}

}  // namespace

std::vector<std::string> try_encoders(const MediaTools& tools) {
  std::vector<std::string> found;
  for (const Trial& trial : kTrials) {
    if (tools.has_encoder(trial.encoder) && works(tools, trial)) found.push_back(fmt::format("{} {}", trial.encoder, trial.format));
  }
  return found;
}

std::vector<std::string> encoders_of_card(const MediaTools& tools, const std::string& kept, const std::string& identity) {
  const std::string title = title_of(tools, identity);
  if (auto known = read_kept(kept, title)) return std::move(*known);
  std::vector<std::string> found = try_encoders(tools);
  const Status written = write_file_atomic(kept, fmt::format("{}{}\n", title, fmt::join(found, "\n")), 0600);
  if (!written) log::warn("which encoders work is not kept: {}", written.error().message);
  return found;
}

}  // namespace kiln::lane
