// Settings. A flag overrides a KILN_* variable, that overrides the --config file (or, without one,
// $XDG_CONFIG_HOME/kiln/kiln.toml), that overrides the built-in value.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace kiln::cli {

// [farm.failures.CLASS]: what follows from one class of failure.
struct FailureSettings {
  int attempts = 3;
  bool blames_lane = true;
};

// [farm]: what a coordinator follows. The values here are those of coordinator::FarmRules; a test compares them.
struct FarmSettings {
  int heartbeat_ms = 2'000;
  int worker_silence_ms = 12'000;
  int worker_forget_s = 600;
  int orphan_grace_ms = 15'000;
  int jobs_max = 10'000;
  int lane_failures_in_a_row = 3;
  int lanes_per_task = 3;
  int compile_attempts = 2;
  int segment_target_ms = 10'000;
  int segment_ahead_ms = 2'000;
  int segment_frames_first = 16;
  int segment_frames_min = 8;
  int segment_frames_max = 1'000;
  int snapshot_facts = 100'000;
  FailureSettings out_of_memory;
  FailureSettings crash;
  FailureSettings hang;
  FailureSettings error;
  FailureSettings lost_lane{8, false};
  FailureSettings bad_input{1, false};
  FailureSettings artifact_mismatch{3, false};
  FailureSettings store_full{3, false};
};

// [worker]: the patience of `kiln worker`; the values are those of worker::WorkerRules.
struct WorkerSettings {
  int lane_start_s = 120;
  int lane_restart_s = 60;
  int lane_deaths_max = 5;
  int cancel_patience_s = 10;
  int transfer_patience_s = 180;
  int drain_patience_s = 60;
  int broadcast_min_mib = 1'024;
};

// What every command reads. The values here are the built-in ones; ranges, meanings and the names in
// files and environment are in the table that settings() returns.
struct Config {
  int lanes = 1;
  int threads_per_lane = 0;  // 0: this machine's cores divided by `lanes`
  int segment_frames = 0;    // 0: chosen from the clip's length and the lanes
  std::string executor = "any";
  std::string precision = "auto";
  std::string compile_backend = "inductor";  // these four: as torch.compile has them
  std::string compile_mode = "default";
  bool compile_dynamic = false;
  bool compile_fullgraph = false;
  std::string device = "cpu";
  int vram_cap_mib = 0;     // 0: none
  int activation_mib = 0;   // 0: half of this machine's memory divided by its cores
  int lane_silence_s = 600;
  std::string state_dir;  // after load_config: an absolute path
  std::string codec;      // empty: by the output's name
  int quality = -1;       // -1: the codec's default
  int compile_deadline_s = 900;
  int compile_memory_mib = 6144;
  int compile_threads = 0;  // 0: as many as a lane
  std::string python;       // these three: empty = look beside the program, then in PATH
  std::string ffmpeg;
  std::string torch;  // folder of a torch package; empty: that of `python`
  std::string log_level = "warning";
  FarmSettings farm;
  WorkerSettings worker;
};

// One setting: the only place where its name, bounds and meaning are written.
struct Setting {
  template <typename Value>
  using Place = Value& (*)(Config&);
  using Member = std::variant<Place<int>, Place<bool>, Place<std::string>>;

  std::string_view name;      // in files: "run.lanes" is `lanes` in table [run]
  std::string_view variable;  // in the environment
  Member member;
  std::string_view description;  // one line
  int least = 0;                 // whole numbers: smallest and largest that are taken
  int most = 0;
  std::span<const std::string_view> choices{};  // texts: the only ones that are taken, if any
};

[[nodiscard]] std::span<const Setting> settings();
// What a setting is in a configuration.
using SettingValue = std::variant<int, bool, std::string>;
[[nodiscard]] SettingValue value_of(const Config& config, const Setting& setting);

// A value from the command line, e.g. {"run.lanes", "--lanes", "2"}.
struct FlagValue {
  std::string name;
  std::string flag;
  std::string value;
};

struct ConfigSources {
  std::vector<FlagValue> flags;
  std::string file;  // --config; empty: the user's own file, if there is one
  // nullptr: the process's environment. Returns nullopt for a variable that is not set.
  std::function<std::optional<std::string>(const std::string&)> environment;
};

struct LoadedConfig {
  Config config;
  std::map<std::string, std::string, std::less<>> origin;  // setting -> "--lanes", "KILN_LANES", "file:12"
  std::string file;                                        // the file that was read, or empty
};

// An unknown key, a wrong type, a value out of range or two that contradict each other end with exit code 78 and one line that names
// the place, what is taken, and for a misspelt key the nearest one.
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSources& sources);

// The configuration as a TOML file; each line says in a comment what it means and where it came from.
[[nodiscard]] std::string dump_config(const LoadedConfig& loaded);
// The same with the built-in values: what configs/kiln.toml holds.
[[nodiscard]] std::string annotated_defaults();

}  // namespace kiln::cli
