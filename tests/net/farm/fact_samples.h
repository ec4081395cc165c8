// One fact of every kind, by hand. Their bytes are in tests/golden and never change: what is here is what a journal
// of format 1 holds. Fields that are added to a fact later keep their defaults here.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "net/farm_facts.h"

namespace kiln::net::test {

// (name of its kind, the fact), in the order of the variant.
[[nodiscard]] std::vector<std::pair<std::string, Fact>> fact_samples();
// Facts with fields that were added later.
[[nodiscard]] std::vector<std::pair<std::string, Fact>> later_samples();

}  // namespace kiln::net::test
