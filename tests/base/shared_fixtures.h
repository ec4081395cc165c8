// Where the packages lie that all tests of one build folder share. Each recipe has a folder of its own, so that nothing
// is used that another importer, another network or another torch has made.
#pragma once

#include <string>
#include <vector>

namespace kiln::test {

// Of every .py file in these folders and of the versions that are installed; folders from the repository's root.
[[nodiscard]] std::string recipe_digest(const std::vector<std::string>& folders);

// What tests/models/make_fixtures.py takes as --out. The tests of the importer compute the same name.
[[nodiscard]] std::string fixtures_folder();

}  // namespace kiln::test
