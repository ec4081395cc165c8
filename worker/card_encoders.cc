#include "worker/card_encoders.h"

#include <fmt/core.h>

#include <algorithm>
#include <thread>

#include "base/file_system.h"
#include "base/process.h"
#include "base/text.h"
#include "net/farm_limits.h"
#include "worker/lane_process.h"

namespace kiln::worker {
namespace {

constexpr std::uint64_t kEncoderTextBytesMax = 64U << 10U;
constexpr std::size_t kEncoderWordsMax = 64;

bool is_encoder_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ' '; }

Result<std::vector<std::string>> ask(const EncoderSearch& search, const Card& card) {
  SpawnOptions spawn;
  spawn.argv = {search.lane_program, "--try-encoders", search.ffmpeg, fmt::format("{}/{}.encoders", search.folder, card.uuid),
                fmt::format("{} driver {}", card.uuid, search.driver)};
  spawn.set_env = {{"CUDA_VISIBLE_DEVICES", card.uuid}};
  if (!search.torch_folder.empty()) spawn.set_env.emplace_back("LD_LIBRARY_PATH", library_path(search.torch_folder));
  KILN_TRY_ASSIGN(const CommandOutput output, run_command(std::move(spawn), search.deadline, kEncoderTextBytesMax));
  if (!output.status.ok()) {
    return fail(make_error(ErrorCode::kUnavailable, "{}: {}", output.status.describe(), trim(output.err)));
  }
  return parse_encoders(output.out);
}

}  // namespace

Result<std::vector<std::string>> parse_encoders(std::string_view text) {
  std::vector<std::string> found;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const bool fits = line.size() <= kEncoderWordsMax && split(line, ' ').size() == 2 && std::all_of(line.begin(), line.end(), &is_encoder_character);
    if (!fits || found.size() >= net::kCardEncodersMax) {
      return fail(make_error(ErrorCode::kDataLoss, "'{}' is no encoder of a card", line.substr(0, kEncoderWordsMax)));
    }
    found.emplace_back(line);
  }
  return found;
}

void find_encoders(const EncoderSearch& search, std::vector<Card>& cards, std::vector<std::string>& said) {
  if (const Status made = make_directories(posix_file_system(), search.folder, 0700); !made) return said.push_back(made.error().message);
  std::vector<std::string> problems(cards.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < cards.size(); ++i) {
    threads.emplace_back([&search, &card = cards[i], &problem = problems[i]] {
      auto found = ask(search, card);
      if (found) {
        card.encoders = std::move(*found);
      } else {
        problem = fmt::format("card {}: its encoders are not known: {}", card.index, found.error().message);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& problem : problems) {
    if (!problem.empty()) said.push_back(problem);
  }
}

}  // namespace kiln::worker
