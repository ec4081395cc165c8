#include "lane/media/media_tools.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/sha256.h"
#include "base/text.h"

namespace kiln::lane {
namespace {

constexpr int kOldestMajor = 5;  // 5.1 brought -fps_mode
constexpr int kOldestMinor = 1;
constexpr std::string_view kInstall =
    "install ffmpeg 5.1 or newer (Debian: apt-get install ffmpeg), or name one with --ffmpeg";

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

// "ffmpeg-linux-x64" → "ffprobe-linux-x64", in the same folder.
std::string probe_beside(const std::string& ffmpeg) {
  const auto slash = ffmpeg.rfind('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash + 1;
  const auto at = ffmpeg.find("ffmpeg", name);
  if (at == std::string::npos) return ffmpeg.substr(0, name) + "ffprobe";
  return ffmpeg.substr(0, at) + "ffprobe" + ffmpeg.substr(at + 6);
}

std::string find_in_path(std::string_view name) {
  const char* path = std::getenv("PATH");
  for (const auto folder : split(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path, ':')) {
    const std::string candidate = std::string(folder) + "/" + std::string(name);
    if (!folder.empty() && is_program(candidate)) return candidate;
  }
  return {};
}

Result<std::string> locate(const MediaToolsSearch& search) {
  if (search.ffmpeg.find('/') != std::string::npos) {
    if (is_program(search.ffmpeg)) return search.ffmpeg;
    return fail(bad_config("ffmpeg {} is not a program; {}", search.ffmpeg, kInstall));
  }
  if (search.ffmpeg.empty() && !search.program_directory.empty()) {
    const std::string beside = search.program_directory + "/ffmpeg";
    if (is_program(beside)) return beside;
  }
  const std::string name = search.ffmpeg.empty() ? "ffmpeg" : search.ffmpeg;
  if (std::string found = find_in_path(name); !found.empty()) return found;
  return fail(make_error(ErrorCode::kNotFound, ExitCode::kBadConfig,
                         "{} is neither beside the program nor in PATH; {}", name, kInstall));
}

// "ffmpeg version 5.1.9-0+deb12u1 Copyright …", "ffmpeg version n8.1.2 …".
Status parse_version(std::string_view text, MediaTools& tools) {
  const auto words = split(text.substr(0, text.find('\n')), ' ');
  if (words.size() < 3 || words[0] != "ffmpeg" || words[1] != "version") {
    return fail(bad_config("{} does not answer as ffmpeg does; {}", tools.ffmpeg_path, kInstall));
  }
  tools.version = std::string(words[2]);
  std::string_view digits = tools.version;
  if (digits.starts_with('n')) digits.remove_prefix(1);
  const auto parts = split(digits, '.');
  tools.major_version = std::atoi(std::string(parts[0]).c_str());
  const int minor = parts.size() > 1 ? std::atoi(std::string(parts[1]).c_str()) : 0;
  const bool from_git = tools.major_version == 0 || parts.size() < 2;
  if (from_git) {
    tools.major_version = 0;
    return {};
  }
  if (std::pair(tools.major_version, minor) < std::pair(kOldestMajor, kOldestMinor)) {
    return fail(bad_config("{} is version {}; {}", tools.ffmpeg_path, tools.version, kInstall));
  }
  return {};
}

// Lines " V....D libx264   description (codec h264)" below a ruler of dashes.
std::vector<std::string> parse_coders(std::string_view text, bool by_codec) {
  std::vector<std::string> names;
  bool past_ruler = false;
  for (const auto line : split(text, '\n')) {
    const std::string_view body = trim(line);
    if (body.starts_with("----")) {
      past_ruler = true;
      continue;
    }
    const auto words = split(body, ' ');
    if (!past_ruler || words.size() < 2) continue;
    std::string name(words[1]);
    const auto codec = body.rfind("(codec ");
    // ffmpeg's own "av1" only drives hardware; those that decode name their codec.
    if (by_codec && codec == std::string_view::npos && name == "av1") continue;
    if (by_codec && name.find("v4l2m2m") != std::string::npos) continue;
    if (by_codec && codec != std::string_view::npos) {
      name = std::string(body.substr(codec + 7, body.rfind(')') - codec - 7));
    }
    if (by_codec && (name == "libdav1d" || name == "libaom-av1" || name == "libgav1")) name = "av1";
    names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

bool MediaTools::has_encoder(std::string_view name) const {
  return std::binary_search(encoders.begin(), encoders.end(), name);
}

bool MediaTools::has_decoder(std::string_view name) const {
  return std::binary_search(decoders.begin(), decoders.end(), name);
}

Result<MediaTools> find_media_tools(const MediaToolsSearch& search) {
  MediaTools tools;
  KILN_TRY_ASSIGN(tools.ffmpeg_path, locate(search));
  tools.ffprobe_path = probe_beside(tools.ffmpeg_path);
  if (!is_program(tools.ffprobe_path)) {
    return fail(bad_config("{} has no ffprobe beside it; {}", tools.ffmpeg_path, kInstall));
  }
  KILN_TRY_ASSIGN(const std::string version, ToolAnswers::ask_anew(tools.ffmpeg_path, {"-version"}));
  KILN_TRY(parse_version(version, tools));
  tools.identity = sha256(version).hex();
  tools.answers = std::make_shared<ToolAnswers>(tools.ffmpeg_path, tools.identity, search.answers_folder);
  KILN_TRY_ASSIGN(const std::string encoders, tools.answers->ask({"-encoders"}));
  KILN_TRY_ASSIGN(const std::string decoders, tools.answers->ask({"-decoders"}));
  tools.encoders = parse_coders(encoders, false);
  tools.decoders = parse_coders(decoders, true);
  return tools;
}

}  // namespace kiln::lane
