#include "lane/media/tool_answers.h"

#include <fmt/ranges.h>

#include <chrono>

#include "base/atomic_file.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/sha256.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::seconds kToolDeadline{30};
constexpr std::uint64_t kAnswerBytesMax = 4ULL << 20U;

}  // namespace

ToolAnswers::ToolAnswers(std::string ffmpeg, std::string identity, std::string folder)
    : ffmpeg_(std::move(ffmpeg)), identity_(std::move(identity)), folder_(std::move(folder)) {}

Result<std::string> ToolAnswers::ask_anew(const std::string& ffmpeg, const std::vector<std::string>& arguments) {
  SpawnOptions options;
  options.argv = {ffmpeg, "-hide_banner"};
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(CommandOutput output, run_command(std::move(options), kToolDeadline, kAnswerBytesMax));
  if (output.status.ok()) return std::move(output.out);
  return fail(bad_config("{} {} ended with {}", ffmpeg, fmt::join(arguments, " "), output.status.describe()));
}

std::string ToolAnswers::path_of(const std::string& question) const {
  return fmt::format("{}/{}.txt", folder_, sha256(fmt::format("{}\n{}\n{}", ffmpeg_, identity_, question)).hex());
}

Result<std::string> ToolAnswers::ask(const std::vector<std::string>& arguments) {
  const std::string question = fmt::format("{}", fmt::join(arguments, "\n"));
  const std::lock_guard lock(mutex_);
  if (const auto known = answers_.find(question); known != answers_.end()) return known->second;
  if (!folder_.empty()) {
    if (auto kept = read_file(path_of(question), kAnswerBytesMax)) return answers_[question] = std::move(*kept);
  }
  KILN_TRY_ASSIGN(std::string answer, ask_anew(ffmpeg_, arguments));
  if (!folder_.empty()) {
    const Status written = write_file_atomic(path_of(question), answer, 0600);
    if (!written) log::warn("an answer of ffmpeg is not kept: {}", written.error().message);
  }
  return answers_[question] = std::move(answer);
}

}  // namespace kiln::lane
