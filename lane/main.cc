// The program `kiln-lane`: one device and the process that owns it. Started by a worker, never by hand.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/log.h"
#include "lane/chores.h"
#include "lane/engine/network.h"
#include "lane/gpu/calibration.h"
#include "lane/lane_session.h"
#include "lane/media/encoder_trial.h"
#include "lane/text/prompt_reading.h"

namespace {

constexpr std::string_view kUsage =
    "kiln-lane is started by kiln, with --channel FD --lane N; kiln --help shows what there is to run\n";

struct Arguments {
  int channel = -1;
  std::string lane = "0";
  bool verbose = false;
};

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const bool has_value = i + 1 < argc;
    if (name == "--verbose") {
      out.verbose = true;
    } else if (name == "--channel" && has_value) {
      out.channel = std::atoi(argv[++i]);
    } else if (name == "--lane" && has_value) {
      out.lane = argv[++i];
    } else {
      return false;
    }
  }
  return out.channel >= 3 && ::fcntl(out.channel, F_GETFD) >= 0;
}

// `--calibrate DEVICE`: one line of JSON.
int calibrate(const std::string& device) {
  kiln::log::set_up("calibration", kiln::log::Level::kWarning);
  const auto found = kiln::lane::calibrate_card(device);
  if (!found) {
    fmt::print(stderr, "{}\n", found.error().message);
    return kiln::exit_code(found.error());
  }
  fmt::print("{}\n", kiln::lane::to_json(*found));
  std::fflush(stdout);
  ::_exit(0);  // what LibTorch would take apart goes with the process
}

// `--try-encoders FFMPEG KEPT IDENTITY`: what works, a line each.
int try_encoders(const std::string& ffmpeg, const std::string& kept, const std::string& identity) {
  kiln::log::set_up("encoders", kiln::log::Level::kWarning);
  kiln::lane::MediaToolsSearch search;
  search.ffmpeg = ffmpeg;
  search.program_directory = kiln::lane::program_directory();
  const auto tools = kiln::lane::find_media_tools(search);
  if (!tools) {
    fmt::print(stderr, "{}\n", tools.error().message);
    return kiln::exit_code(tools.error());
  }
  for (const std::string& encoder : kiln::lane::encoders_of_card(*tools, kept, identity)) fmt::print("{}\n", encoder);
  return 0;
}

// `--read-prompt SPIECE_MODEL`, the prompt on standard input: its tokens, one line of JSON.
kiln::Status read_prompt(const std::string& model) {
  namespace lane = kiln::lane;
  KILN_TRY_ASSIGN(const std::string bytes, kiln::read_file(model, lane::kTokenizerBytesMax));
  KILN_TRY_ASSIGN(const lane::Umt5Tokenizer tokenizer, lane::Umt5Tokenizer::load(std::as_bytes(std::span(bytes))));
  KILN_TRY_ASSIGN(const std::string prompt, kiln::read_to_end(STDIN_FILENO, lane::kPromptTextBytesMax));
  KILN_TRY_ASSIGN(const lane::ReadPrompt read, lane::read_prompt(tokenizer, prompt));
  fmt::print("{}\n", lane::to_json(read));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    fmt::print("kiln-lane {}\n", KILN_VERSION);
    return 0;
  }
  if (argc == 3 && std::string_view(argv[1]) == "--calibrate") return calibrate(argv[2]);
  if (argc == 5 && std::string_view(argv[1]) == "--try-encoders") return try_encoders(argv[2], argv[3], argv[4]);
  if (argc == 3 && std::string_view(argv[1]) == "--read-prompt") {
    const kiln::Status read = read_prompt(argv[2]);
    if (!read) fmt::print(stderr, "{}\n", read.error().message);
    return read ? 0 : kiln::exit_code(read.error());
  }
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    fmt::print(stderr, "{}", kUsage);
    return static_cast<int>(kiln::ExitCode::kUsage);
  }
  kiln::lane::tune_allocator();
  kiln::log::set_up("lane " + arguments.lane, arguments.verbose ? kiln::log::Level::kDebug : kiln::log::Level::kWarning);
  std::signal(SIGPIPE, SIG_IGN);
  ::fcntl(arguments.channel, F_SETFD, FD_CLOEXEC);
  kiln::lane::LaneSession session((kiln::net::LocalChannel(kiln::UniqueFd(arguments.channel))));
  return session.run();
}
