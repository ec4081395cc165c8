#include "cli/program_files.h"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/process.h"
#include "base/text.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// Finds torch without importing it: importing costs seconds.
constexpr const char* kFindTorch =
    "import importlib.util as u, os; s = u.find_spec('torch');"
    "print(os.path.dirname(s.origin) if s and s.origin else '')";
constexpr auto kPythonDeadline = 30s;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

Result<PythonInterpreter> inspect(const std::string& program) {
  SpawnOptions options;
  options.argv = {program, "-I", "-c", kFindTorch};
  auto output = run_command(options, kPythonDeadline);
  if (!output) {
    return fail(bad_config("Python interpreter '{}': {}. Name another with --python.", program,
                           output.error().message));
  }
  PythonInterpreter python{program, std::string(trim(output->out))};
  if (!output->status.ok() || python.torch_folder.empty()) {
    return fail(bad_config("Python interpreter '{}' has no torch package. Run scripts/setup, or name another "
                           "interpreter with --python.", program));
  }
  return python;
}

}  // namespace

std::string program_folder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string(".") : self.parent_path().string();
}

Result<std::string> lane_program() {
  std::string path = environment("KILN_LANE");
  if (path.empty()) path = program_folder() + "/kiln-lane";
  if (::access(path.c_str(), X_OK) != 0) {
    return fail(bad_config("the lane program '{}' is not there; it belongs beside kiln", path));
  }
  return path;
}

Result<std::string> python_folder() {
  const std::string path = fs::path(program_folder()).parent_path() / "python";
  if (!fs::is_directory(path)) {
    return fail(bad_config("the folder '{}' is not there; it belongs beside the folder of kiln", path));
  }
  return path;
}

Result<PythonInterpreter> find_python(const std::string& option) {
  if (!option.empty()) return inspect(option);
  if (const std::string named = environment("KILN_PYTHON"); !named.empty()) return inspect(named);
  const fs::path beside = fs::path(program_folder()).parent_path() / "venv" / "bin" / "python";
  if (fs::exists(beside)) return inspect(beside.string());
  return inspect("python3");
}

}  // namespace kiln::cli
