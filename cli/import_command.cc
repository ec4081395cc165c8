// kiln import upscaler|module|diffusers|comfy: Python makes the package, this checks it and tells the user.
#include "cli/import_command.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/program_files.h"

namespace kiln::cli {
namespace {

constexpr std::uint64_t kMessageBytesMax = 4U << 20U;
constexpr std::string_view kMessagePrefix = "kiln import: ";
// Started so, and not with -m, Python does not look for modules in the folder it is started in.
constexpr const char* kStart =
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    "from kiln_import.__main__ import main; sys.exit(main(sys.argv[1:]))";

struct ImportOptions {
  std::string kind;
  std::string source;
  std::string output;
  std::string python;
  std::vector<std::string> tile_shapes;
  std::vector<std::string> dtypes;
  bool fixed_sizes = false;
  bool open_sizes = false;
  bool copy = false;
  std::vector<std::pair<std::string, std::string>> files;  // flag of the importer, value
  int threads = 0;

  [[nodiscard]] bool makes_generator() const { return kind == "diffusers" || kind == "comfy"; }
};

std::vector<std::string> command_line(const ImportOptions& import, const std::string& program,
                                      const std::string& folder) {
  // -I: what is set for Python in this environment does not matter. A user's own module may need it.
  std::vector<std::string> argv = {program};
  if (import.kind != "module") argv.emplace_back("-I");
  argv.insert(argv.end(), {"-B", "-c", kStart, folder, import.kind, "-o", import.output});
  for (const std::string& shape : import.tile_shapes) argv.insert(argv.end(), {"--tile-shape", shape});
  for (const std::string& dtype : import.dtypes) argv.insert(argv.end(), {"--dtype", dtype});
  if (import.fixed_sizes) argv.emplace_back("--static");
  if (import.open_sizes) argv.emplace_back("--dynamic");
  if (import.copy) argv.emplace_back("--copy");
  for (const auto& [flag, value] : import.files) {
    if (!value.empty()) argv.insert(argv.end(), {flag, value});
  }
  if (import.threads > 0) argv.insert(argv.end(), {"--threads", std::to_string(import.threads)});
  argv.insert(argv.end(), {"--", import.source});
  return argv;
}

// The importer's last word; what other libraries print before it is of use with --verbose only.
std::string message_of(const std::string& printed) {
  std::string_view last = "it printed nothing";
  for (const std::string_view line : split(printed, '\n')) {
    const std::string_view text = trim(line);
    if (!text.empty()) last = text;
    if (text.starts_with(kMessagePrefix)) return std::string(text.substr(kMessagePrefix.size()));
  }
  return std::string(last);
}

Error failure_of(const ExitStatus& status, const std::string& printed) {
  const std::string message = message_of(printed);
  for (const ExitCode code : {ExitCode::kInputRefused, ExitCode::kInputMissing, ExitCode::kOutputUnwritable,
                              ExitCode::kIo, ExitCode::kBadConfig}) {
    if (status.signal == 0 && status.exit_code == static_cast<int>(code)) {
      return make_error(ErrorCode::kFailedPrecondition, code, "{}", message);
    }
  }
  return make_error(ErrorCode::kUnknown, ExitCode::kFailed, "import failed ({}): {}", status.describe(), message);
}

// Ctrl-C reaches the importer, which then removes its half-written folder; this program waits for it.
class IgnoreInterrupt {
 public:
  IgnoreInterrupt() : previous_(std::signal(SIGINT, SIG_IGN)) {}
  ~IgnoreInterrupt() { std::signal(SIGINT, previous_); }
  IgnoreInterrupt(const IgnoreInterrupt&) = delete;
  IgnoreInterrupt& operator=(const IgnoreInterrupt&) = delete;

 private:
  void (*previous_)(int);
};

Status run_importer(const ImportOptions& import, const GlobalOptions& options) {
  KILN_TRY_ASSIGN(const PythonInterpreter python, find_python(import.python));
  KILN_TRY_ASSIGN(const std::string folder, python_folder());
  KILN_TRY_ASSIGN(Pipe messages, make_pipe());
  SpawnOptions spawn;
  spawn.argv = command_line(import, python.program, folder);
  spawn.stdout_fd = options.json ? -1 : STDOUT_FILENO;
  spawn.stderr_fd = messages.write_end.get();
  spawn.own_process_group = false;
  KILN_TRY_ASSIGN(ChildProcess child, ChildProcess::spawn(spawn));
  const IgnoreInterrupt ignore;
  messages.write_end.reset();
  KILN_TRY_ASSIGN(const std::string printed, read_to_end(messages.read_end.get(), kMessageBytesMax));
  KILN_TRY_ASSIGN(const ExitStatus status, child.wait());
  if (options.verbose) fmt::print(stderr, "{}", printed);
  if (status.ok()) return {};
  return fail(failure_of(status, printed));
}

nlohmann::json to_json(const std::string& folder, const CheckedPackage& package) {
  const sharding::PackageManifest& manifest = package.manifest;
  return {{"package", folder},
          {"name", manifest.name},
          {"architecture", manifest.architecture},
          {"scale", manifest.scale},
          {"frames", manifest.frames()},
          {"graphs", manifest.graphs.size()},
          {"parameters", manifest.parameters.size()},
          {"one_thread", package.one_thread},
          {"tiling",
           {{"kind", to_string(manifest.tiling.kind)},
            {"halo", manifest.tiling.halo},
            {"difference", manifest.tiling.difference}}}};
}

nlohmann::json to_json(const std::string& folder, const sharding::GeneratorManifest& manifest) {
  return {{"package", folder},
          {"name", manifest.name},
          {"architecture", manifest.architecture},
          {"components", manifest.components.size()},
          {"graphs", manifest.graphs.size()},
          {"weights", manifest.weights.size()},
          {"tensors", manifest.tensors.size()}};
}

void print_json(const nlohmann::json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

// It was written a moment ago by us, and nobody can use it. Links in it are removed, not what they lead to.
void remove_package(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

Result<int> finish_generator(const ImportOptions& import, const GlobalOptions& options) {
  const auto manifest = check_generator_package(import.output);
  if (!manifest) {
    remove_package(import.output);
    return fail(manifest.error());
  }
  if (options.json) print_json(to_json(import.output, *manifest));
  return 0;
}

Result<int> run_import(const ImportOptions& import, const GlobalOptions& options) {
  KILN_TRY(run_importer(import, options));
  if (import.makes_generator()) return finish_generator(import, options);
  const auto package = check_package(import.output);
  if (!package) {
    remove_package(import.output);
    return fail(package.error());
  }
  if (options.json) {
    print_json(to_json(import.output, *package));
  } else if (package->one_thread) {
    fmt::print("import: on CPUs it runs with one thread a lane, for the same bits everywhere: give it several lanes\n");
  }
  return 0;
}

using Options = std::shared_ptr<ImportOptions>;

// What all kinds have.
CLI::App* add_kind(CLI::App& import, Action& action, const Options& options, const char* description,
                   const char* source) {
  CLI::App* command = import.add_subcommand(options->kind, description);
  command->add_option("source", options->source, source)->required();
  command->add_option("-o,--output", options->output, "Folder to make; it must not exist")->required();
  command->add_option("--python", options->python, "Python interpreter that has the packages of the set-up");
  command->add_option("--dtype", options->dtypes, "Only float32, float16 or bfloat16; may be repeated")->take_all();
  command->add_option("--threads", options->threads, "Threads to use; 0: all")->check(CLI::Range(0, 1024));
  command->callback([&action, options] {
    action = [options](const GlobalOptions& global) { return run_import(*options, global); };
  });
  return command;
}

Options options_of(const char* kind) {
  auto options = std::make_shared<ImportOptions>();
  options->kind = kind;
  return options;
}

void add_network(CLI::App& import, Action& action, const char* kind, const char* description, const char* source) {
  const Options options = options_of(kind);
  CLI::App* command = add_kind(import, action, options, description, source);
  command->add_option("--tile-shape", options->tile_shapes,
                      "Make graphs for this input size only (HEIGHTxWIDTH); may be repeated")
      ->take_all();
  command->add_flag("--static", options->fixed_sizes, "Make graphs of fixed sizes, though open ones can be made");
  command->add_flag("--dynamic", options->open_sizes, "Leave the size open, however long tracing takes");
}

CLI::App* add_generator(CLI::App& import, Action& action, const Options& options, const char* description,
                        const char* source) {
  CLI::App* command = add_kind(import, action, options, description, source);
  command->add_flag("--copy", options->copy, "Copy the weights into the package, instead of linking to them");
  return command;
}

void add_comfy(CLI::App& import, Action& action) {
  const Options options = options_of("comfy");
  CLI::App* command = add_generator(import, action, options, "From the single files that ComfyUI reads",
                                    "The transformer's file; of two experts the one for high noise");
  options->files = {{"--low-noise", ""}, {"--text-encoder", ""}, {"--vae", ""}, {"--tokenizer", ""}, {"--boundary-ratio", ""}};
  const auto add = [&](std::size_t at, const char* description) {
    return command->add_option(options->files[at].first, options->files[at].second, description);
  };
  add(0, "The second expert of Wan 2.2, for low noise");
  add(1, "File of the text encoder")->required();
  add(2, "File of the VAE")->required();
  add(3, "sentencepiece's model, where the text encoder's file has none");
  add(4, "Where the second expert takes over, as a part of the noise; default: 0.875")
      ->check(CLI::Range(0.001, 0.999));
}

}  // namespace

void add_import_command(CLI::App& app, Action& action) {
  CLI::App* import = app.add_subcommand("import", "Make a model package");
  import->require_subcommand(1);
  add_network(*import, action, "upscaler", "From a checkpoint (.pth .pt .ckpt .safetensors) or an ncnn pair",
              "Checkpoint; of an ncnn pair either file");
  add_network(*import, action, "module", "From a network of your own: this runs your code",
              "package.module:factory, a function that returns a torch.nn.Module");
  add_generator(*import, action, options_of("diffusers"), "From a folder that diffusers saved: Wan text-to-video",
                "The folder, with model_index.json in it");
  add_comfy(*import, action);
}

}  // namespace kiln::cli
