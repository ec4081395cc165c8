// encode_manifest and decode_manifest: canonical JSON.
#include <bit>
#include <limits>
#include <nlohmann/json.hpp>

#include "cache_store/artifact_manifest.h"

namespace kiln::cache {
namespace {

using nlohmann::json;

constexpr std::size_t kTensorsMax = 16384;
constexpr std::size_t kRankMax = 16;
constexpr int kManifestFormatVersion = 1;

json tensor_to_json(const TensorSpec& spec) {
  return json{{"name", spec.name},           {"dtype", spec.dtype},
              {"device", spec.device},       {"shape_min", spec.shape_min},
              {"shape_max", spec.shape_max}, {"strides", spec.strides},
              {"alignment_bytes", spec.alignment_bytes}};
}

json tensors_to_json(const std::vector<TensorSpec>& specs) {
  json list = json::array();
  for (const TensorSpec& spec : specs) list.push_back(tensor_to_json(spec));
  return list;
}

// Reads the fields of one object; remembers the first that is missing or of another kind.
class FieldReader {
 public:
  explicit FieldReader(const json& object) : object_(object) {}

  void read(const char* name, std::string& out) {
    const json* value = find(name);
    if (value == nullptr || !value->is_string()) return note(name);
    out = value->get_ref<const std::string&>();
  }
  void read(const char* name, std::uint64_t& out) {
    const json* value = find(name);
    if (value == nullptr || !value->is_number_unsigned()) return note(name);
    out = value->get<std::uint64_t>();
  }
  void read(const char* name, std::uint32_t& out) {
    std::uint64_t wide = 0;
    read(name, wide);
    if (wide > std::numeric_limits<std::uint32_t>::max()) return note(name);
    out = static_cast<std::uint32_t>(wide);
  }
  void read(const char* name, std::int64_t& out) {
    const json* value = find(name);
    if (value == nullptr || !is_int64(*value)) return note(name);
    out = value->get<std::int64_t>();
  }
  void read(const char* name, Digest& out) {
    std::string hex;
    read(name, hex);
    const auto digest = Digest::from_hex(hex);
    if (!digest) return note(name);
    out = *digest;
  }
  void read(const char* name, std::vector<std::int64_t>& out) {
    const json* value = find(name);
    if (value == nullptr || !value->is_array() || value->size() > kRankMax) return note(name);
    for (const json& item : *value) {
      if (!is_int64(item)) return note(name);
      out.push_back(item.get<std::int64_t>());
    }
  }
  void read(const char* name, std::map<std::string, std::string>& out) {
    const json* value = find(name);
    if (value == nullptr || !value->is_object()) return note(name);
    for (const auto& [key, item] : value->items()) {
      if (!item.is_string()) return note(name);
      out[key] = item.get_ref<const std::string&>();
    }
  }
  void read(const char* name, std::vector<TensorSpec>& out);

  [[nodiscard]] const std::string& bad_field() const { return bad_; }

 private:
  static bool is_int64(const json& value) {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
    return value.is_number_integer();
  }
  const json* find(const char* name) const {
    const auto at = object_.find(name);
    return at == object_.end() ? nullptr : &*at;
  }
  void note(const char* name) {
    if (bad_.empty()) bad_ = name;
  }
  const json& object_;
  std::string bad_;
};

bool is_consistent(const TensorSpec& spec) {
  const std::size_t rank = spec.shape_max.size();
  if (spec.shape_min.size() != rank || spec.strides.size() != rank) return false;
  for (std::size_t i = 0; i < rank; ++i) {
    if (spec.shape_min[i] < 0 || spec.shape_min[i] > spec.shape_max[i]) return false;
    if (spec.strides[i] < kStrideFollowsShape) return false;
  }
  return std::has_single_bit(spec.alignment_bytes);
}

void FieldReader::read(const char* name, std::vector<TensorSpec>& out) {
  const json* value = find(name);
  if (value == nullptr || !value->is_array() || value->size() > kTensorsMax) return note(name);
  for (const json& item : *value) {
    if (!item.is_object()) return note(name);
    FieldReader reader(item);
    TensorSpec spec;
    reader.read("name", spec.name);
    reader.read("dtype", spec.dtype);
    reader.read("device", spec.device);
    reader.read("shape_min", spec.shape_min);
    reader.read("shape_max", spec.shape_max);
    reader.read("strides", spec.strides);
    reader.read("alignment_bytes", spec.alignment_bytes);
    if (!reader.bad_field().empty() || !is_consistent(spec)) return note(name);
    out.push_back(std::move(spec));
  }
}

Error malformed(std::string_view what) {
  return make_error(ErrorCode::kDataLoss, "artifact manifest: {}", what);
}

}  // namespace

std::string encode_manifest(const ArtifactManifest& manifest) {
  const json object{{"format_version", kManifestFormatVersion},
                    {"key", manifest.key.hex()},
                    {"content_sha256", manifest.content_sha256.hex()},
                    {"content_bytes", manifest.content_bytes},
                    {"device_arch", manifest.device_arch},
                    {"isa", manifest.isa},
                    {"inputs", tensors_to_json(manifest.inputs)},
                    {"outputs", tensors_to_json(manifest.outputs)},
                    {"toolchain", manifest.toolchain},
                    {"compile_us", manifest.compile_us},
                    {"compile_peak_rss_bytes", manifest.compile_peak_rss_bytes},
                    {"run_us", manifest.run_us},
                    {"run_peak_bytes", manifest.run_peak_bytes},
                    {"builder", manifest.builder},
                    {"created_unix_s", manifest.created_unix_s},
                    {"expires_unix_s", manifest.expires_unix_s},
                    {"epoch", manifest.epoch}};
  // nlohmann's objects are sorted maps; text that is no UTF-8 becomes U+FFFD instead of an exception.
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<ArtifactManifest> decode_manifest(std::string_view bytes) {
  if (bytes.size() > kManifestBytesMax) return fail(malformed("too large"));
  const json object = json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(malformed("not a JSON object"));
  FieldReader reader(object);
  std::uint64_t version = 0;
  reader.read("format_version", version);
  if (version != kManifestFormatVersion) return fail(malformed("another format version"));
  ArtifactManifest manifest;
  reader.read("key", manifest.key);
  reader.read("content_sha256", manifest.content_sha256);
  reader.read("content_bytes", manifest.content_bytes);
  reader.read("device_arch", manifest.device_arch);
  reader.read("isa", manifest.isa);
  reader.read("inputs", manifest.inputs);
  reader.read("outputs", manifest.outputs);
  reader.read("toolchain", manifest.toolchain);
  reader.read("compile_us", manifest.compile_us);
  reader.read("compile_peak_rss_bytes", manifest.compile_peak_rss_bytes);
  reader.read("run_us", manifest.run_us);
  reader.read("run_peak_bytes", manifest.run_peak_bytes);
  reader.read("builder", manifest.builder);
  reader.read("created_unix_s", manifest.created_unix_s);
  reader.read("expires_unix_s", manifest.expires_unix_s);
  reader.read("epoch", manifest.epoch);
  if (!reader.bad_field().empty()) return fail(malformed("field '" + reader.bad_field() + "'"));
  // Unknown fields, doubled fields, other spellings: all of them encode to something else.
  if (encode_manifest(manifest) != bytes) return fail(malformed("not in canonical form"));
  return manifest;
}

}  // namespace kiln::cache
