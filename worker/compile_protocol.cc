#include "worker/compile_protocol.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace kiln::worker {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kRankMax = 16;
constexpr double kSecondsMax = 1e7;

Json encode_tensor(const sharding::TensorSpec& spec) {
  Json shape = Json::array();
  for (const auto& dim : spec.shape) shape.push_back({dim.min, dim.max});
  return {{"shape", shape}, {"dtype", spec.dtype}, {"strides", spec.strides}};
}

sharding::TensorSpec decode_tensor(const Json& json) {
  sharding::TensorSpec spec;
  for (const Json& dim : json.at("shape")) {
    spec.shape.push_back({dim.at(0).get<std::int64_t>(), dim.at(1).get<std::int64_t>()});
    if (spec.shape.back().min < 0 || spec.shape.back().max < spec.shape.back().min) {
      throw std::invalid_argument("a shape that is none");
    }
  }
  spec.dtype = json.at("dtype").get<std::string>();
  spec.strides = json.at("strides").get<std::vector<std::int64_t>>();
  if (spec.shape.size() > kRankMax || spec.strides.size() > kRankMax || spec.dtype.size() > 32) {
    throw std::invalid_argument("a tensor beyond all bounds");
  }
  return spec;
}

double bounded(const Json& json) {
  const double value = json.get<double>();
  if (!std::isfinite(value) || value < 0.0 || value > kSecondsMax) {
    throw std::invalid_argument("a measurement beyond all bounds");
  }
  return value;
}

ChildDone decode_done(const Json& json) {
  ChildDone done;
  done.id = json.at("id").get<std::uint64_t>();
  done.library_path = json.at("library").get<std::string>();
  done.result.compile_s = bounded(json.at("compile_s"));
  done.result.run_ms = bounded(json.at("run_ms"));
  done.result.run_peak_bytes = json.at("run_peak_bytes").get<std::uint64_t>();
  done.result.card_context_bytes = json.value("card_context_bytes", std::uint64_t{0});
  done.result.card_reserved_bytes = json.value("card_reserved_bytes", std::uint64_t{0});
  for (const Json& output : json.at("outputs")) {
    done.result.outputs.push_back(decode_tensor(output));
    if (done.result.outputs.size() > kOutputsMax) throw std::invalid_argument("too many outputs");
  }
  return done;
}

// One line of printable text: it ends up in our log and on a terminal.
std::string printable(std::string text) {
  text.resize(std::min(text.size(), kCompileMessageBytesMax));
  std::replace_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; },
                  ' ');
  return text;
}

ChildReply decode(const Json& json) {
  const auto event = json.at("event").get<std::string>();
  if (event == "hello") {
    return ChildHello{json.at("protocol").get<std::uint32_t>(), json.at("torch_git").get<std::string>(),
                      json.at("recipe_sha256").get<std::string>()};
  }
  if (event == "done") return decode_done(json);
  if (event == "error") {
    return ChildError{json.at("id").get<std::uint64_t>(), printable(json.at("message").get<std::string>())};
  }
  if (event == "warm") return ChildProgress{fmt::format("warm after {:.1f} s", bounded(json.at("warm_s")))};
  if (event == "progress") return ChildProgress{printable(json.at("text").get<std::string>())};
  throw std::invalid_argument("unknown event '" + printable(event) + "'");
}

}  // namespace

std::string encode_child_options(const CompileChildOptions& options) {
  const bool warm = options.warm_isa != sharding::IsaLevel::kNone;
  const std::string level(warm ? to_string(options.warm_isa) : std::string_view());
  return Json{{"work_folder", options.work_folder}, {"compiler", options.compiler}, {"isa", level},
              {"device", options.device == "cpu" ? "cpu" : "cuda:0"}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string encode_compile_request(const CompileRequest& request, std::uint64_t id,
                                   const std::string& graph_json_path, int threads) {
  Json inputs = Json::array();
  for (const auto& input : request.inputs) inputs.push_back(encode_tensor(input));
  const Json json{{"id", id},
                  {"graph_json_path", graph_json_path},
                  {"inputs", inputs},
                  {"settings", {{"mode", to_string(request.settings.mode)}}},
                  {"isa", to_string(request.isa)},
                  {"threads", threads},
                  {"trial", true}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string encode_kernel_request(const KernelRequest& request, std::uint64_t id, const std::string& source_path) {
  const Json kernels{{"source_path", source_path}, {"arch", request.arch}, {"options", request.options}};
  return Json{{"id", id}, {"kernels", kernels}}.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<ChildReply> decode_child_reply(std::string_view line) {
  try {
    return decode(Json::parse(line));
  } catch (const std::exception& error) {
    return fail(make_error(ErrorCode::kDataLoss, "the compile child answered nonsense: {}",
                           printable(std::string(error.what()).substr(0, 200))));
  }
}

}  // namespace kiln::worker
