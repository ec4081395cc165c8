#include "cli/config.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "cli/config_file.h"

namespace kiln::cli {
namespace {

constexpr std::size_t kMostShownCharacters = 80;

// Names and values come from files and the environment: the message stays one line.
std::string shown(std::string_view text) {
  std::string line(text.substr(0, kMostShownCharacters));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return line.size() < text.size() ? line + "…" : line;
}

const Setting* find_setting(std::string_view name) {
  const auto all = settings();
  const auto at = std::find_if(all.begin(), all.end(), [&](const Setting& s) { return s.name == name; });
  return at == all.end() ? nullptr : &*at;
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool is_section(std::string_view name) {
  const auto all = settings();
  return std::any_of(all.begin(), all.end(), [&](const Setting& s) {
    return s.name.size() > name.size() && s.name.starts_with(name) && s.name[name.size()] == '.';
  });
}

// The nearest setting, also when it was written in the wrong table or in none.
std::string suggestion(std::string_view name) {
  std::vector<std::string_view> full;
  std::vector<std::string_view> last;
  for (const Setting& setting : settings()) {
    full.push_back(setting.name);
    last.push_back(last_part(setting.name));
  }
  std::string nearest = nearest_name(name, full);
  if (nearest.empty() || last_part(nearest) != last_part(name)) {
    const std::string part = nearest_name(last_part(name), last);
    const auto at = std::find(last.begin(), last.end(), part);
    const bool better = part == last_part(name) || nearest.empty();
    if (at != last.end() && better) nearest = full[static_cast<std::size_t>(at - last.begin())];
  }
  return nearest.empty() ? std::string() : fmt::format(" Did you mean '{}'?", nearest);
}

std::string taken(const Setting& setting) {
  if (std::holds_alternative<Setting::Place<bool>>(setting.member)) return "true or false";
  if (std::holds_alternative<Setting::Place<int>>(setting.member)) {
    return fmt::format("a whole number from {} to {}", setting.least, setting.most);
  }
  if (setting.choices.empty()) return "a text";
  std::string list;
  for (const std::string_view choice : setting.choices) {
    list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", choice);
  }
  return "one of " + list;
}

Error refused(std::string_view place, const Setting& setting, std::string_view found) {
  return bad_config("{}: '{}' is {}; it takes {}", place, setting.name, found, taken(setting));
}

Status set_number(Config& config, const Setting& setting, std::int64_t value, std::string_view place) {
  const auto* place_of = std::get_if<Setting::Place<int>>(&setting.member);
  if (place_of == nullptr || value < setting.least || value > setting.most) {
    return fail(refused(place, setting, fmt::format("{}", value)));
  }
  (*place_of)(config) = static_cast<int>(value);
  return {};
}

Status set_switch(Config& config, const Setting& setting, bool value, std::string_view place) {
  const auto* place_of = std::get_if<Setting::Place<bool>>(&setting.member);
  if (place_of == nullptr) return fail(refused(place, setting, value ? "true" : "false"));
  (*place_of)(config) = value;
  return {};
}

Status set_text(Config& config, const Setting& setting, const std::string& value, std::string_view place) {
  const auto* place_of = std::get_if<Setting::Place<std::string>>(&setting.member);
  const bool chosen = setting.choices.empty() || std::find(setting.choices.begin(), setting.choices.end(),
                                                           value) != setting.choices.end();
  if (place_of == nullptr || !chosen) {
    Error error = refused(place, setting, fmt::format("\"{}\"", shown(value)));
    const std::string hint = place_of == nullptr ? std::string() : did_you_mean(value, setting.choices);
    if (!hint.empty()) error.message += "." + hint;
    return fail(std::move(error));
  }
  (*place_of)(config) = value;
  return {};
}

// From the environment and the command line everything is text.
Status set_parsed(Config& config, const Setting& setting, const std::string& value, std::string_view place) {
  if (std::holds_alternative<Setting::Place<std::string>>(setting.member)) {
    return set_text(config, setting, value, place);
  }
  if (std::holds_alternative<Setting::Place<bool>>(setting.member) && (value == "true" || value == "false")) {
    return set_switch(config, setting, value == "true", place);
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    return fail(refused(place, setting, fmt::format("\"{}\"", shown(value))));
  }
  return set_number(config, setting, number, place);
}

Status apply_file_value(LoadedConfig& loaded, const FileValue& value) {
  const std::string place = fmt::format("{}:{}", loaded.file, value.line);
  const auto* other = std::get_if<OtherKind>(&value.value);
  if (other != nullptr && other->name == "a table" && is_section(value.name)) return {};  // empty
  const Setting* setting = find_setting(value.name);
  if (setting == nullptr) {
    return fail(bad_config("{}: unknown setting '{}'.{}", place, shown(value.name), suggestion(value.name)));
  }
  if (other != nullptr) return fail(refused(place, *setting, other->name));
  if (const auto* number = std::get_if<std::int64_t>(&value.value)) {
    KILN_TRY(set_number(loaded.config, *setting, *number, place));
  } else if (const auto* on = std::get_if<bool>(&value.value)) {
    KILN_TRY(set_switch(loaded.config, *setting, *on, place));
  } else {
    KILN_TRY(set_text(loaded.config, *setting, std::get<std::string>(value.value), place));
  }
  loaded.origin[std::string(setting->name)] = place;
  return {};
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// The XDG folder named by `variable`, or its default under HOME; with /kiln appended.
std::string xdg_folder(const ConfigSources& sources, const char* variable, std::string_view under_home) {
  // The XDG specification says that a relative path is to be ignored.
  if (const auto named = sources.environment(variable); named && named->starts_with('/')) {
    return *named + "/kiln";
  }
  return fmt::format("{}/{}/kiln", sources.environment("HOME").value_or("."), under_home);
}

// systemd makes the folders of StateDirectory= and names them, with colons between; the first is the service's.
std::string default_state_folder(const ConfigSources& sources) {
  const std::string named = sources.environment("STATE_DIRECTORY").value_or("");
  const std::string first = named.substr(0, named.find(':'));
  return first.starts_with('/') ? first : xdg_folder(sources, "XDG_STATE_HOME", ".local/state");
}

Result<std::string> file_to_read(const ConfigSources& sources) {
  if (!sources.file.empty()) return sources.file;
  const std::string path = xdg_folder(sources, "XDG_CONFIG_HOME", ".config") + "/kiln.toml";
  std::error_code ignored;  // a folder that cannot be searched holds no file for us
  return std::filesystem::exists(path, ignored) ? path : std::string();
}

Status apply_environment(LoadedConfig& loaded, const ConfigSources& sources) {
  for (const Setting& setting : settings()) {
    const std::string variable(setting.variable);
    const auto value = sources.environment(variable);
    if (!value || value->empty()) continue;
    KILN_TRY(set_parsed(loaded.config, setting, *value, variable));
    loaded.origin[std::string(setting.name)] = variable;
  }
  return {};
}

Status apply_flags(LoadedConfig& loaded, const ConfigSources& sources) {
  for (const FlagValue& flag : sources.flags) {
    const Setting* setting = find_setting(flag.name);
    if (setting == nullptr) {
      return fail(make_error(ErrorCode::kInternal, "{} sets '{}', which is no setting", flag.flag, flag.name));
    }
    // On the command line a bad value is wrong usage, not a bad file.
    if (auto status = set_parsed(loaded.config, *setting, flag.value, flag.flag); !status) {
      Error error = std::move(status).error();
      error.exit = ExitCode::kUsage;
      return fail(std::move(error));
    }
    loaded.origin[flag.name] = flag.flag;
  }
  return {};
}

// Two settings that contradict each other; the place is that of the one that was set.
Status agree(const LoadedConfig& loaded, bool good, std::string_view first, std::string_view second,
             std::string_view rule) {
  if (good) return {};
  auto origin = loaded.origin.find(first);
  if (origin == loaded.origin.end()) origin = loaded.origin.find(second);
  const auto number = [&](std::string_view name) { return std::get<int>(value_of(loaded.config, *find_setting(name))); };
  return fail(bad_config("{}: '{}' is {} and '{}' is {}; the first must be {} the second",
                         origin == loaded.origin.end() ? "built-in" : origin->second, first, number(first), second,
                         number(second), rule));
}

Status check_pairs(const LoadedConfig& loaded) {
  const FarmSettings& farm = loaded.config.farm;
  // One heartbeat may be late or lost.
  KILN_TRY(agree(loaded, farm.worker_silence_ms >= 2 * farm.heartbeat_ms, "farm.worker_silence_ms", "farm.heartbeat_ms",
                 "at least twice"));
  KILN_TRY(agree(loaded, farm.segment_frames_first >= farm.segment_frames_min, "farm.segment_frames_first",
                 "farm.segment_frames_min", "at least"));
  return agree(loaded, farm.segment_frames_first <= farm.segment_frames_max, "farm.segment_frames_first",
               "farm.segment_frames_max", "at most");
}

}  // namespace

SettingValue value_of(const Config& config, const Setting& setting) {
  Config copy = config;  // places are given in what may be changed
  return std::visit([&](const auto place_of) { return SettingValue(place_of(copy)); }, setting.member);
}

Result<LoadedConfig> load_config(const ConfigSources& given) {
  ConfigSources sources = given;
  if (!sources.environment) sources.environment = process_environment;
  LoadedConfig loaded;
  KILN_TRY_ASSIGN(loaded.file, file_to_read(sources));
  if (!loaded.file.empty()) {
    KILN_TRY_ASSIGN(const std::vector<FileValue> values, read_config_file(loaded.file));
    for (const FileValue& value : values) KILN_TRY(apply_file_value(loaded, value));
  }
  KILN_TRY(apply_environment(loaded, sources));
  KILN_TRY(apply_flags(loaded, sources));
  KILN_TRY(check_pairs(loaded));
  if (loaded.config.state_dir.empty()) loaded.config.state_dir = default_state_folder(sources);
  // Children work in folders of their own: what they are told must not depend on where they are.
  std::error_code error;
  const std::filesystem::path state = std::filesystem::absolute(loaded.config.state_dir, error);
  if (!error) loaded.config.state_dir = state.lexically_normal().string();
  return loaded;
}

}  // namespace kiln::cli
