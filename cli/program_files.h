// Where the files that belong to this program are: found from the program's own place, so that a build
// folder, an installed tree and an unpacked bundle all work wherever they lie.
#pragma once

#include <string>

#include "base/result.h"

namespace kiln::cli {

[[nodiscard]] std::string program_folder();  // where `kiln` itself is, links resolved

// The lane program beside `kiln`. KILN_LANE overrides it.
[[nodiscard]] Result<std::string> lane_program();

// The folder that holds the packages kiln_import and kiln_compile: `python` beside the bin folder.
[[nodiscard]] Result<std::string> python_folder();

struct PythonInterpreter {
  std::string program;
  std::string torch_folder;  // …/site-packages/torch of that interpreter
};

// `option` (--python) if given, else KILN_PYTHON, else `venv/bin/python` beside the bin folder, else
// python3 of PATH. Error when it does not run or has no torch, saying how to name another.
[[nodiscard]] Result<PythonInterpreter> find_python(const std::string& option);

}  // namespace kiln::cli
