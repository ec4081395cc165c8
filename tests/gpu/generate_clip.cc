// Runs Wan's pipeline once and says as JSON where the time went. By hand:
//   generate_clip --package DIR [--device cpu] [--text float32] [--transformer float32] [--vae float32] [--size 832x480]
//       [--frames 81] [--steps 4] [--cfg 6] [--shift 3] [--seed 1] [--tokens 512] [--tiles 256x192] [--threads 2] [--latents FILE]
// The prompt is token ids that every vocabulary has: what it says changes no time. --latents keeps the last latents as float32,
// to be compared with those of another device or precision.
#include <ATen/Parallel.h>
#include <fmt/core.h>
#include <sys/resource.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lane/engine/network.h"
#include "lane/pipelines/clip_generator.h"

namespace {

using namespace kiln;
using namespace kiln::lane;

std::map<std::string, std::string> read_arguments(int argc, char** argv) {
  std::map<std::string, std::string> given = {
      {"device", "cpu"}, {"text", "float32"}, {"transformer", "float32"}, {"vae", "float32"}, {"size", "832x480"}, {"frames", "81"},
      {"steps", "4"}, {"cfg", "6"}, {"shift", ""}, {"seed", "1"}, {"tokens", "512"}, {"tiles", ""}, {"threads", "2"}, {"latents", ""},
      {"package", ""}};
  for (int i = 1; i + 1 < argc; i += 2) given[std::string(argv[i]).substr(2)] = argv[i + 1];
  return given;
}

std::pair<std::int64_t, std::int64_t> two_numbers(const std::string& text) {
  return {std::stoll(text), std::stoll(text.substr(text.find('x') + 1))};
}

Result<GenerateSettings> settings_of(std::map<std::string, std::string>& given, const sharding::GeneratorManifest& manifest) {
  GenerateSettings settings;
  const auto [width, height] = two_numbers(given["size"]);
  settings.size = {width, height, std::stoll(given["frames"])};
  settings.flow = flow_settings_of(manifest);
  settings.flow.steps = std::stoi(given["steps"]);
  if (!given["shift"].empty()) settings.flow.shift = std::stod(given["shift"]);
  settings.guidance.scale = std::stod(given["cfg"]);
  settings.seed = std::stoull(given["seed"]);
  if (!given["tiles"].empty()) {
    const auto [size, stride] = two_numbers(given["tiles"]);
    settings.tiles = DecodeTiles{size, stride};
  }
  KILN_TRY_ASSIGN(settings.precision.text, sharding::graph_dtype_from_string(given["text"]));
  KILN_TRY_ASSIGN(settings.precision.transformer, sharding::graph_dtype_from_string(given["transformer"]));
  KILN_TRY_ASSIGN(settings.precision.vae, sharding::graph_dtype_from_string(given["vae"]));
  settings.device = given["device"];
  return settings;
}

PromptTokens some_tokens(std::int64_t used, std::size_t length) {
  PromptTokens tokens{{}, used, 0};
  for (std::int64_t i = 0; i + 1 < used; ++i) tokens.ids.push_back(3 + i);
  tokens.ids.push_back(1);
  tokens.ids.resize(length, 0);
  return tokens;
}

void keep(const std::string& path, const at::Tensor& latents) {
  if (path.empty()) return;
  const at::Tensor numbers = latents.cpu().contiguous();
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(numbers.const_data_ptr()),
                                              static_cast<std::streamsize>(numbers.nbytes()));
}

Status run(std::map<std::string, std::string> given) {
  at::set_num_threads(std::stoi(given["threads"]));
  KILN_TRY_ASSIGN(const GeneratorPackage package, GeneratorPackage::open(files_of_folder(given["package"])));
  KILN_TRY_ASSIGN(const GenerateSettings settings, settings_of(given, package.manifest()));
  const std::map<GenerateStage, std::string> names = {
      {GenerateStage::kText, "text_s"}, {GenerateStage::kSteps, "steps_s"}, {GenerateStage::kDecode, "latent_frames_s"}};
  nlohmann::json told = {{"arguments", given}};
  GenerateCallbacks callbacks;
  callbacks.on_progress = [&](const GenerateProgress& progress) {
    told[names.at(progress.stage)].push_back(progress.seconds);
    fmt::print(stderr, "{} {} of {}: {:.3f} s\n", names.at(progress.stage), progress.done, progress.total, progress.seconds);
  };
  const auto length = static_cast<std::size_t>(std::stoll(given["tokens"]));
  KILN_TRY_ASSIGN(const PromptStates states,
                  encode_prompts(package, settings, some_tokens(12, length), some_tokens(5, length), callbacks));
  KILN_TRY_ASSIGN(const at::Tensor latents, sample_latents(package, settings, states, callbacks));
  keep(given["latents"], latents);
  std::int64_t frames = 0;
  const auto count = [&](const at::Tensor& some) -> Status {
    frames += some.size(2);
    return {};
  };
  KILN_TRY(decode_latents(package, settings, latents, count, callbacks));
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  told["frames"] = frames;
  told["host_peak_mib"] = used.ru_maxrss / 1024;
  fmt::print("{}\n", told.dump(1));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  tune_allocator();
  const Status status = run(read_arguments(argc, argv));
  if (status) return 0;
  fmt::print(stderr, "generate_clip: {}\n", status.error().message);
  return exit_code(status.error());
}
