#include "cli/farm/job_file.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <toml++/toml.h>

#include "base/fd.h"
#include "base/output_name.h"
#include "base/text.h"
#include "cli/farm/job_shots.h"
#include "cli/farm/job_table.h"
#include "net/farm_limits.h"
#include "net/farm_names.h"
#include "sharding/compile_settings.h"

namespace kiln::cli {
namespace {

using namespace std::string_view_literals;
namespace fs = std::filesystem;

constexpr std::array kJobKeys{"title"sv,    "model"sv,          "owner"sv,    "pool"sv,   "priority"sv, "paused"sv,
                              "executor"sv, "numerics"sv,       "after"sv,    "in_place"sv, "segment_frames"sv,
                              "codec"sv,    "quality"sv,        "preset"sv,   "pixel_format"sv, "scale"sv,
                              "frame_rate"sv, "deinterlace"sv,  "encoder"sv, "precision"sv, "clip"sv,     "variant"sv,
                              "compile"sv,  "shot"sv,           "negative_prompt"sv, "size"sv, "frames"sv,    "steps"sv,
                              "cfg"sv,      "cfg_low_noise"sv,  "shift"sv,    "solver"sv, "seed"sv};
constexpr std::array kClipKeys{"source"sv, "output"sv,       "codec"sv,      "quality"sv,    "preset"sv,
                               "scale"sv,  "pixel_format"sv, "frame_rate"sv, "deinterlace"sv, "encoder"sv};
constexpr std::array kVariantKeys{"name"sv, "budget_mib"sv};
constexpr std::array kCompileKeys{"backend"sv,
                                  "mode"sv,
                                  "dynamic"sv,
                                  "fullgraph"sv,
                                  "compile_transformer_blocks_only"sv,
                                  "dynamo_cache_size_limit"sv,
                                  "dynamo_recompile_limit"sv,
                                  "force_parameter_static_shapes"sv,
                                  "allow_unmerged_lora_compile"sv};
constexpr std::size_t kNameDigits = 8;
constexpr std::size_t kSlugCharsMax = 40;

}  // namespace

void read_output_settings(JobTable& reader, net::OutputSettings& out) {
  static constexpr std::array kCodecs{""sv, "h264"sv, "hevc"sv, "av1"sv, "ffv1"sv, "prores"sv, "png"sv};
  reader.choice("codec", out.codec, kCodecs);
  reader.number("quality", out.quality, -1, net::kQualityMax);
  reader.word("preset", out.preset);
  reader.word("pixel_format", out.pixel_format);
  reader.word("scale", out.scale);
  reader.word("frame_rate", out.frame_rate);
  reader.flag("deinterlace", out.deinterlace);
  static constexpr std::array kEncoders{""sv, "software"sv, "hardware"sv, "auto"sv};
  reader.choice("encoder", out.encoder, kEncoders);
}

void read_output_name(JobTable& reader, const toml::table& table, net::OutputSettings& out, std::set<std::string>& names) {
  reader.text("output", out.file_name);
  const std::string& name = out.file_name;
  if (name.find('/') != std::string::npos || name == "." || name == "..") {
    reader.wrong(table, "'output' is a file's name, not a path; kiln fetch says into which folder");
  }
  if (const Status known = check_output_name(name); !name.empty() && !known) reader.wrong(table, known.error().message);
  if (!name.empty() && !names.insert(name).second) {
    reader.wrong(table, fmt::format("'{}' is the output of another clip already", name));
  }
}

namespace {

std::string absolute(const std::string& folder, const std::string& path) {
  return (fs::path(path).is_absolute() ? fs::path(path) : fs::path(folder) / path).lexically_normal().string();
}

Status read_clips(JobTable& job, JobDraft& draft, const net::OutputSettings& defaults, const std::string& origin,
                  const std::string& folder) {
  const auto tables = job.tables("clip");
  if (tables.size() > kJobClipsMax) return fail(bad_config("{}: more than {} clips", origin, kJobClipsMax));
  std::set<std::string> names;
  for (const toml::table* table : tables) {
    JobTable reader(*table, origin);
    reader.allow(kClipKeys);
    net::ClipRequest clip;
    clip.output = defaults;
    read_output_settings(reader, clip.output);
    std::string source;
    reader.text("source", source);
    if (source.empty()) reader.wrong(*table, "a clip needs 'source'");
    read_output_name(reader, *table, clip.output, names);
    clip.source.path = absolute(folder, source);
    if (!is_one_line(clip.source.path)) reader.wrong(*table, "'source' has a control character in its path; rename it");
    if (clip.source.path.size() > net::kPathBytesMax) reader.wrong(*table, "'source' is too long");
    KILN_TRY(reader.status());
    draft.request.clips.push_back(std::move(clip));
  }
  return {};
}

Status read_variants(JobTable& job, JobDraft& draft, const std::string& origin) {
  constexpr std::int64_t kMostMib = 1 << 20;
  const auto tables = job.tables("variant");
  if (tables.size() > net::kVariantsMax) return fail(bad_config("{}: more than {} variants", origin, net::kVariantsMax));
  for (const toml::table* table : tables) {
    JobTable reader(*table, origin);
    reader.allow(kVariantKeys);
    net::Variant variant;
    std::uint64_t mib = 0;
    reader.text("name", variant.name, net::kLabelBytesMax);
    reader.number("budget_mib", mib, 0, kMostMib);
    KILN_TRY(reader.status());
    variant.budget_bytes_max = mib << 20U;
    draft.request.variants.push_back(std::move(variant));
  }
  return {};
}

Status read_compile(const toml::table& table, net::CompileSettings& out, const std::string& origin) {
  JobTable reader(table, origin);
  reader.allow(kCompileKeys);
  reader.word("backend", out.backend);
  reader.word("mode", out.mode);
  reader.flag("dynamic", out.dynamic);
  reader.flag("fullgraph", out.fullgraph);
  reader.flag("compile_transformer_blocks_only", out.compile_transformer_blocks_only);
  reader.number("dynamo_cache_size_limit", out.dynamo_cache_size_limit, 1, net::kCompileLimitMax);
  reader.number("dynamo_recompile_limit", out.dynamo_recompile_limit, 1, net::kCompileLimitMax);
  reader.flag("force_parameter_static_shapes", out.force_parameter_static_shapes);
  reader.flag("allow_unmerged_lora_compile", out.allow_unmerged_lora_compile);
  if (const auto backend = sharding::compile_backend_from_string(out.backend); !backend) {
    reader.wrong_at("backend", backend.error().message);
  }
  if (const auto mode = sharding::compile_mode_from_string(out.mode); !mode) reader.wrong_at("mode", mode.error().message);
  KILN_TRY(reader.status());
  KILN_TRY_ASSIGN(const auto settings, sharding::compile_settings_of(out));
  if (const auto lacks = sharding::find_unavailable(settings)) reader.wrong_at(lacks->name, lacks->error.message);
  return reader.status();
}

void read_job(JobTable& reader, JobDraft& draft) {
  static constexpr std::array kExecutors{"any"sv, "compiled"sv, "uncompiled"sv};
  static constexpr std::array kNumerics{"strict"sv, "tolerant"sv};
  static constexpr std::array kPrecisions{"auto"sv, "float32"sv, "float16"sv, "bfloat16"sv};
  net::JobRequest& request = draft.request;
  reader.allow(kJobKeys);
  reader.text("title", request.title);
  reader.text("model", draft.model);
  reader.text("owner", request.owner, net::kLabelBytesMax);
  reader.text("pool", request.pool, net::kLabelBytesMax);
  reader.number("priority", request.priority, -net::kPriorityMax, net::kPriorityMax);
  reader.flag("paused", request.paused);
  reader.choice("executor", request.executor, kExecutors);
  reader.choice("numerics", request.numerics, kNumerics);
  reader.choice("precision", request.precision, kPrecisions);
  reader.job_names("after", request.depends_on);
  reader.flag("in_place", draft.in_place);
  reader.number("segment_frames", request.segment_frames, 0, 100'000);
}

// Keys of the one kind of job in the other.
void check_mixture(JobTable& reader, const toml::table& table) {
  static constexpr std::array kOfClips{"scale"sv, "deinterlace"sv, "segment_frames"sv, "compile"sv};
  const bool shots = table.contains("shot");
  if (shots && table.contains("clip")) return reader.wrong_at("shot", "a job has [[clip]] or [[shot]], not both");
  for (const std::string_view key : shots ? std::span<const std::string_view>(kOfClips) : std::span(kShotSettingKeys)) {
    if (table.contains(key)) reader.wrong_at(key, fmt::format("'{}' is for jobs with [[{}]]", key, shots ? "clip" : "shot"));
  }
  const auto* executor = table.get_as<std::string>("executor");
  if (shots && executor != nullptr && executor->get() == "compiled") {
    reader.wrong_at("executor", "shots are not compiled yet: \"any\" or \"uncompiled\"");
  }
}

// Two clips of one name would fall over each other: a number tells them apart.
void name_outputs(std::vector<net::ClipRequest>& clips) {
  std::set<std::string> taken;
  for (const net::ClipRequest& clip : clips) taken.insert(clip.output.file_name);
  for (net::ClipRequest& clip : clips) {
    if (!clip.output.file_name.empty()) continue;
    const std::string stem = fs::path(clip.source.path).stem().string();
    std::string name = stem + "_up.mkv";
    for (int n = 2; !taken.insert(name).second; ++n) name = fmt::format("{}_up_{}.mkv", stem, n);
    clip.output.file_name = name;
  }
}

}  // namespace

Result<JobDraft> parse_job_file(std::string_view text, const std::string& origin, const std::string& folder) {
  toml::table table;
  try {
    table = toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    return fail(bad_config("{}, line {}: {}", origin, error.source().begin.line, one_line(std::string(error.description()))));
  }
  JobDraft draft;
  JobTable reader(table, origin);
  read_job(reader, draft);
  net::OutputSettings defaults;
  read_output_settings(reader, defaults);
  KILN_TRY(reader.status());
  KILN_TRY(read_clips(reader, draft, defaults, origin, folder));
  KILN_TRY(read_shots(reader, draft, defaults, origin));
  KILN_TRY(read_variants(reader, draft, origin));
  if (const toml::table* compile = reader.table("compile")) KILN_TRY(read_compile(*compile, draft.request.compile, origin));
  KILN_TRY(reader.status());
  if (draft.model.empty()) return fail(bad_config("{}: 'model' names no package", origin));
  if (draft.request.clips.empty()) return fail(bad_config("{}: it has no [[clip]] and no [[shot]]", origin));
  check_mixture(reader, table);
  KILN_TRY(reader.status());
  draft.model = absolute(folder, draft.model);
  if (draft.request.kind == net::JobKind::kUpscale) name_outputs(draft.request.clips);
  for (const net::ClipRequest& clip : draft.request.clips) {
    if (const Status good = check_output_name(clip.output.file_name); !good) {
      return fail(bad_config("{}: {}", origin, good.error().message));
    }
  }
  if (draft.request.title.empty()) draft.request.title = one_line(fs::path(origin).stem().string());
  draft.request.job = make_job_name(draft.request.title);
  return draft;
}

Result<JobDraft> read_job_file(const std::string& path) {
  auto text = read_file(path, kJobFileBytesMax);
  if (!text) {
    if (text.error().code == ErrorCode::kNotFound) return fail(input_missing("{}: no such job file", path));
    return fail(bad_config("{}", text.error().message));
  }
  std::error_code error;
  return parse_job_file(*text, path, fs::absolute(path, error).parent_path().string());
}

net::JobName make_job_name(std::string_view title) {
  std::string slug;
  for (const char c : title) {
    const char low = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool word = (low >= 'a' && low <= 'z') || (low >= '0' && low <= '9');
    if (word) slug.push_back(low);
    if (!word && !slug.empty() && slug.back() != '-') slug.push_back('-');
    if (slug.size() >= kSlugCharsMax) break;
  }
  if (slug.empty()) slug = "job";
  if (slug.back() != '-') slug.push_back('-');
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  for (std::size_t i = 0; i < kNameDigits; ++i) slug.push_back(kDigits[randombytes_uniform(kDigits.size())]);
  return slug;
}

}  // namespace kiln::cli
