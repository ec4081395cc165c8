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
#include "net/farm_limits.h"
#include "net/farm_names.h"

namespace kiln::cli {
namespace {

using namespace std::string_view_literals;
namespace fs = std::filesystem;

constexpr std::array kJobKeys{"title"sv,    "model"sv,          "owner"sv,    "pool"sv,   "priority"sv, "paused"sv,
                              "executor"sv, "numerics"sv,       "after"sv,    "in_place"sv, "segment_frames"sv,
                              "codec"sv,    "quality"sv,        "preset"sv,   "pixel_format"sv, "scale"sv,
                              "frame_rate"sv, "deinterlace"sv,  "precision"sv, "clip"sv,     "variant"sv};
constexpr std::array kClipKeys{"source"sv, "output"sv,       "codec"sv,      "quality"sv,    "preset"sv,
                               "scale"sv,  "pixel_format"sv, "frame_rate"sv, "deinterlace"sv};
constexpr std::array kVariantKeys{"name"sv, "budget_mib"sv};
constexpr std::size_t kNameDigits = 8;
constexpr std::size_t kSlugCharsMax = 40;

// Reads one table; the first thing that is wrong is kept, with its line.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& origin) : table_(table), origin_(origin) {}

  void allow(std::span<const std::string_view> keys) {
    for (const auto& [key, node] : table_) {
      if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
      const std::string nearest = nearest_name(key.str(), keys);
      wrong(node, fmt::format("unknown key '{}'{}", key.str(), nearest.empty() ? "" : ", did you mean '" + nearest + "'?"));
    }
  }
  void text(std::string_view key, std::string& out, std::size_t bytes_max = net::kTextBytesMax) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_string();
    if (value == nullptr) return wrong(*node, fmt::format("'{}' is to be a text", key));
    out = value->get();
    if (out.size() > bytes_max || !is_one_line(out)) {
      wrong(*node, fmt::format("'{}' is to be one line of at most {} bytes", key, bytes_max));
    }
  }
  void word(std::string_view key, std::string& out) {
    text(key, out, net::kWordBytesMax);
    if (!net::is_word(out)) wrong(*table_.get(key), fmt::format("'{}' is to be one word of printable ASCII", key));
  }
  void choice(std::string_view key, std::string& out, std::span<const std::string_view> choices) {
    text(key, out);
    const toml::node* node = table_.get(key);
    if (node == nullptr || std::find(choices.begin(), choices.end(), out) != choices.end()) return;
    wrong(*node, fmt::format("'{}' is one of {}", key, fmt::join(choices, ", ")));
  }
  void flag(std::string_view key, bool& out) {
    if (const toml::node* node = table_.get(key)) {
      if (const auto* value = node->as_boolean()) {
        out = value->get();
      } else {
        wrong(*node, fmt::format("'{}' is to be true or false", key));
      }
    }
  }
  template <typename Number>
  void number(std::string_view key, Number& out, std::int64_t least, std::int64_t most) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto* value = node->as_integer();
    if (value == nullptr || value->get() < least || value->get() > most) {
      return wrong(*node, fmt::format("'{}' is to be a whole number from {} to {}", key, least, most));
    }
    out = static_cast<Number>(value->get());
  }
  void job_names(std::string_view key, std::vector<std::string>& out) {
    const toml::node* node = table_.get(key);
    if (node == nullptr) return;
    const auto* list = node->as_array();
    if (list == nullptr) return wrong(*node, fmt::format("'{}' is to be a list of texts", key));
    if (list->size() > net::kDependenciesMax) {
      return wrong(*node, fmt::format("'{}' has more than {} entries", key, net::kDependenciesMax));
    }
    for (const toml::node& one : *list) {
      const auto* value = one.as_string();
      if (value == nullptr) return wrong(one, fmt::format("'{}' is to be a list of texts", key));
      if (!net::valid_job_name(value->get())) {
        return wrong(one, fmt::format("'{}' holds what is no job's name ({})", key, net::kJobNameGrammar));
      }
      out.push_back(value->get());
    }
  }
  // The tables of [[key]].
  std::vector<const toml::table*> tables(std::string_view key) {
    std::vector<const toml::table*> out;
    const toml::node* node = table_.get(key);
    if (node == nullptr) return out;
    const auto* list = node->as_array();
    if (list == nullptr) return wrong(*node, fmt::format("'{}' is to be written [[{}]]", key, key)), out;
    for (const toml::node& one : *list) {
      if (one.as_table() == nullptr) return wrong(one, fmt::format("'{}' is to be written [[{}]]", key, key)), out;
      out.push_back(one.as_table());
    }
    return out;
  }
  void wrong(const toml::node& node, const std::string& what) {
    if (!error_) error_ = bad_config("{}, line {}: {}", origin_, node.source().begin.line, one_line(what));
  }
  [[nodiscard]] Status status() const {
    if (error_) return fail(*error_);
    return {};
  }

 private:
  const toml::table& table_;
  const std::string& origin_;
  std::optional<Error> error_;
};

void read_output(Reader& reader, net::OutputSettings& out) {
  static constexpr std::array kCodecs{""sv, "h264"sv, "hevc"sv, "av1"sv, "ffv1"sv, "prores"sv, "png"sv};
  reader.choice("codec", out.codec, kCodecs);
  reader.number("quality", out.quality, -1, net::kQualityMax);
  reader.word("preset", out.preset);
  reader.word("pixel_format", out.pixel_format);
  reader.word("scale", out.scale);
  reader.word("frame_rate", out.frame_rate);
  reader.flag("deinterlace", out.deinterlace);
}

std::string absolute(const std::string& folder, const std::string& path) {
  return (fs::path(path).is_absolute() ? fs::path(path) : fs::path(folder) / path).lexically_normal().string();
}

Status read_clips(Reader& job, JobDraft& draft, const net::OutputSettings& defaults, const std::string& origin,
                  const std::string& folder) {
  const auto tables = job.tables("clip");
  if (tables.size() > kJobClipsMax) return fail(bad_config("{}: more than {} clips", origin, kJobClipsMax));
  std::set<std::string> names;
  for (const toml::table* table : tables) {
    Reader reader(*table, origin);
    reader.allow(kClipKeys);
    net::ClipRequest clip;
    clip.output = defaults;
    read_output(reader, clip.output);
    std::string source;
    reader.text("source", source);
    reader.text("output", clip.output.file_name);
    if (source.empty()) reader.wrong(*table, "a clip needs 'source'");
    const std::string& name = clip.output.file_name;
    if (name.find('/') != std::string::npos || name == "." || name == "..") {
      reader.wrong(*table, "'output' is a file's name, not a path; kiln fetch says into which folder");
    }
    if (const Status known = check_output_name(name); !name.empty() && !known) reader.wrong(*table, known.error().message);
    if (!name.empty() && !names.insert(name).second) {
      reader.wrong(*table, fmt::format("'{}' is the output of another clip already", name));
    }
    clip.source.path = absolute(folder, source);
    if (!is_one_line(clip.source.path)) reader.wrong(*table, "'source' has a control character in its path; rename it");
    if (clip.source.path.size() > net::kPathBytesMax) reader.wrong(*table, "'source' is too long");
    KILN_TRY(reader.status());
    draft.request.clips.push_back(std::move(clip));
  }
  return {};
}

Status read_variants(Reader& job, JobDraft& draft, const std::string& origin) {
  constexpr std::int64_t kMostMib = 1 << 20;
  const auto tables = job.tables("variant");
  if (tables.size() > net::kVariantsMax) return fail(bad_config("{}: more than {} variants", origin, net::kVariantsMax));
  for (const toml::table* table : tables) {
    Reader reader(*table, origin);
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

void read_job(Reader& reader, JobDraft& draft) {
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
  Reader reader(table, origin);
  read_job(reader, draft);
  net::OutputSettings defaults;
  read_output(reader, defaults);
  KILN_TRY(reader.status());
  KILN_TRY(read_clips(reader, draft, defaults, origin, folder));
  KILN_TRY(read_variants(reader, draft, origin));
  KILN_TRY(reader.status());
  if (draft.model.empty()) return fail(bad_config("{}: 'model' names no package", origin));
  if (draft.request.clips.empty()) return fail(bad_config("{}: it has no [[clip]]", origin));
  draft.model = absolute(folder, draft.model);
  name_outputs(draft.request.clips);
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
