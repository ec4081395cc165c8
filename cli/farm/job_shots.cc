#include "cli/farm/job_shots.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <set>
#include <toml++/toml.h>

#include "base/output_name.h"
#include "net/farm_limits.h"
#include "sharding/shot_rules.h"

namespace kiln::cli {
namespace {

using namespace std::string_view_literals;

constexpr std::array kShotKeys{"prompt"sv, "negative_prompt"sv, "size"sv,  "frames"sv,  "steps"sv,   "cfg"sv,          "cfg_low_noise"sv,
                               "shift"sv,  "solver"sv,          "seed"sv,  "output"sv,  "codec"sv,   "quality"sv,      "preset"sv,
                               "pixel_format"sv, "frame_rate"sv, "encoder"sv};
constexpr int kStepsUsual = 50;
constexpr double kGuidanceUsual = 5.0;

std::optional<int> side_from(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > net::kSideMax) return std::nullopt;
  return value;
}

void read_shot(JobTable& reader, const toml::table& table, net::ClipRequest& clip) {
  net::Shot& shot = clip.source.shot;
  reader.lines("prompt", shot.prompt, net::kPromptBytesMax);
  if (!table.contains("prompt")) reader.wrong(table, "a shot needs 'prompt' (prompt = \"\" for none)");
  read_shot_settings(reader, shot);
  if (const auto fault = sharding::find_shot_fault(sharding::shot_wish_of(shot))) reader.wrong_at(fault->key, fault->error.message);
}

// Numbers tell shots apart that have no name.
void name_shots(std::vector<net::ClipRequest>& clips) {
  std::set<std::string> taken;
  for (const net::ClipRequest& clip : clips) taken.insert(clip.output.file_name);
  int number = 0;
  for (net::ClipRequest& clip : clips) {
    clip.source.path = fmt::format("shot {}", ++number);
    if (!clip.output.file_name.empty()) continue;
    std::string name = fmt::format("shot_{}.mkv", number);
    for (int n = 2; !taken.insert(name).second; ++n) name = fmt::format("shot_{}_{}.mkv", number, n);
    clip.output.file_name = name;
  }
}

}  // namespace

net::Shot usual_shot() {
  const sharding::ShotSize size;
  net::Shot out;
  out.width = static_cast<int>(size.width);
  out.height = static_cast<int>(size.height);
  out.frames = size.frames;
  out.steps = kStepsUsual;
  out.guidance = kGuidanceUsual;
  return out;
}

Result<std::pair<int, int>> parse_frame_size(std::string_view text) {
  const std::size_t middle = text.find('x');
  if (middle != std::string_view::npos) {
    const auto width = side_from(text.substr(0, middle));
    const auto height = side_from(text.substr(middle + 1));
    if (width && height) return std::pair{*width, *height};
  }
  return fail(make_error(ErrorCode::kInvalidArgument, "'{}' is no size; 832x480 is one", text));
}

void read_shot_settings(JobTable& reader, net::Shot& out) {
  static constexpr std::array kSolvers{""sv, "unipc"sv, "euler"sv};
  reader.lines("negative_prompt", out.negative_prompt, net::kPromptBytesMax);
  std::string size;
  reader.word("size", size);
  if (!size.empty()) {
    const auto sides = parse_frame_size(size);
    if (sides) std::tie(out.width, out.height) = *sides;
    if (!sides) reader.wrong_at("size", sides.error().message);
  }
  reader.number("frames", out.frames, 1, net::kFramesMax);
  reader.number("steps", out.steps, 1, net::kStepsMax);
  reader.real("cfg", out.guidance, 0.0, net::kGuidanceMax);
  reader.real("cfg_low_noise", out.low_noise_guidance, 0.0, net::kGuidanceMax);
  reader.real("shift", out.shift, 0.0, net::kGuidanceMax);
  reader.choice("solver", out.solver, kSolvers);
  reader.number("seed", out.seed, 0, std::numeric_limits<std::int64_t>::max());
}

Status read_shots(JobTable& job, JobDraft& draft, const net::OutputSettings& defaults, const std::string& origin) {
  net::Shot usual = usual_shot();
  read_shot_settings(job, usual);
  const auto tables = job.tables("shot");
  KILN_TRY(job.status());
  if (tables.empty()) return {};
  if (tables.size() > kJobClipsMax) return fail(bad_config("{}: more than {} shots", origin, kJobClipsMax));
  std::set<std::string> names;
  for (const toml::table* table : tables) {
    JobTable reader(*table, origin);
    reader.allow(kShotKeys);
    net::ClipRequest clip;
    clip.source.shot = usual;
    clip.output = defaults;
    read_output_settings(reader, clip.output);
    read_shot(reader, *table, clip);
    read_output_name(reader, *table, clip.output, names);
    KILN_TRY(reader.status());
    draft.request.clips.push_back(std::move(clip));
  }
  draft.request.kind = net::JobKind::kGenerate;
  name_shots(draft.request.clips);
  return {};
}

}  // namespace kiln::cli
