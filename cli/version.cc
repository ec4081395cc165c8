#include "cli/version.h"

namespace kiln::cli {

std::string version_text() {
  return "kiln " KILN_VERSION "\npackage format 1, store format 1, built for torch " KILN_TORCH_VERSION;
}

}  // namespace kiln::cli
