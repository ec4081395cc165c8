#include "lane/media/hdr_probe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/process.h"
#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

using Json = nlohmann::json;

constexpr std::chrono::minutes kDeadline{2};
constexpr double kChromaticityUnits = 50'000;  // in 1
constexpr double kLuminanceUnits = 10'000;     // in 1 cd/m²
constexpr double kChromaticityMax = 50'000;
constexpr double kLuminanceMax = 4'294'967'295.0;

bool has_hdr_colour(const ColorDescription& color) {
  return color.transfer == ColorTransfer::kPq || color.transfer == ColorTransfer::kHlg ||
         color.primaries == ColorPrimaries::kBt2020;
}

std::string type_of(const Json& side) {
  const auto it = side.find("side_data_type");
  return it != side.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// "34000/50000" in units; nothing where it is not a number within bounds.
std::optional<double> units_of(const Json& side, const char* key, double units, double most) {
  const auto it = side.find(key);
  if (it == side.end() || !it->is_string()) return 0;  // a container may know only a part
  const auto value = parse_rational(it->get<std::string>());
  if (!value) return 0;
  const double scaled = std::round(value->value() * units);
  return scaled >= 0 && scaled <= most ? std::optional(scaled) : std::nullopt;
}

std::optional<Chromaticity> chromaticity(const Json& side, const std::string& name) {
  const auto x = units_of(side, (name + "_x").c_str(), kChromaticityUnits, kChromaticityMax);
  const auto y = units_of(side, (name + "_y").c_str(), kChromaticityUnits, kChromaticityMax);
  if (!x || !y) return std::nullopt;
  return Chromaticity{static_cast<std::uint16_t>(*x), static_cast<std::uint16_t>(*y)};
}

std::optional<MasteringDisplay> mastering_display(const Json& side) {
  const auto red = chromaticity(side, "red");
  const auto green = chromaticity(side, "green");
  const auto blue = chromaticity(side, "blue");
  const auto white = chromaticity(side, "white_point");
  const auto most = units_of(side, "max_luminance", kLuminanceUnits, kLuminanceMax);
  const auto least = units_of(side, "min_luminance", kLuminanceUnits, kLuminanceMax);
  if (!red || !green || !blue || !white || !most || !least) return std::nullopt;
  const MasteringDisplay display{*red, *green, *blue, *white, static_cast<std::uint32_t>(*most),
                                 static_cast<std::uint32_t>(*least)};
  const bool dark = display.luminance_max <= display.luminance_min && display.luminance_max != 0;
  return dark || display == MasteringDisplay{} ? std::nullopt : std::optional(display);
}

std::optional<ContentLight> content_light(const Json& side) {
  const auto number = [&](const char* key) -> std::int64_t {
    const auto it = side.find(key);
    return it != side.end() && it->is_number_integer() ? it->get<std::int64_t>() : 0;
  };
  const std::int64_t content = number("max_content");
  const std::int64_t average = number("max_average");
  const bool usable = content >= 0 && content <= UINT16_MAX && average >= 0 && average <= UINT16_MAX;
  if (!usable || (content == 0 && average == 0)) return std::nullopt;
  return ContentLight{static_cast<std::uint16_t>(content), static_cast<std::uint16_t>(average)};
}

// What one list of side data adds; the first that is found stays.
void take(const Json& owner, ClipInfo& clip, std::set<std::string>& left_out) {
  const auto list = owner.find("side_data_list");
  if (list == owner.end() || !list->is_array()) return;
  for (const Json& side : *list) {
    const std::string type = type_of(side);
    if (type == "Mastering display metadata") {
      if (clip.hdr.display) continue;
      clip.hdr.display = mastering_display(side);
      if (!clip.hdr.display) left_out.insert("mastering display data that makes no sense");
    } else if (type == "Content light level metadata") {
      if (!clip.hdr.light) clip.hdr.light = content_light(side);
    } else if (type.find("SMPTE2094-40") != std::string::npos) {
      left_out.insert("HDR10+ metadata");
    } else if (type.find("DOVI") != std::string::npos || type.find("Dolby Vision") != std::string::npos) {
      left_out.insert("Dolby Vision data");
    }
  }
}

}  // namespace

Status probe_hdr(const MediaTools& tools, bool in_container, ClipInfo& clip) {
  if (!in_container && !has_hdr_colour(clip.color)) return {};
  SpawnOptions options;
  // The container's comes first: it is as it was entered, while a codec may have rounded it.
  options.argv = {tools.ffprobe_path, "-v", "quiet", "-of", "json", "-select_streams",
                  std::to_string(clip.stream_index), "-read_intervals", "%+#8", "-show_streams", "-show_frames"};
  const auto input = input_arguments(clip.source);
  options.argv.insert(options.argv.end(), input.begin(), input.end());
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(const CommandOutput output, run_command(std::move(options), kDeadline));
  const Json json = Json::parse(output.out, nullptr, false);
  if (!json.is_object()) return {};  // a clip that cannot be decoded is refused elsewhere, with a reason
  std::set<std::string> left_out;
  for (const char* part : {"streams", "frames"}) {
    const auto entries = json.find(part);
    if (entries == json.end() || !entries->is_array()) continue;
    for (const Json& entry : *entries) take(entry, clip, left_out);
  }
  for (const std::string& what : left_out) {
    clip.warnings.push_back(fmt::format("{}: its {} is left out; static HDR10 metadata is kept where there is some",
                                        clip.source.path, what));
  }
  return {};
}

}  // namespace kiln::lane
