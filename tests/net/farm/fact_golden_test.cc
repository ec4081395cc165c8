// The bytes of facts never change: journals on disk hold them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>

#include "net/farm_codec.h"
#include "tests/net/farm/fact_samples.h"

namespace kiln::net {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// Lines "kind hex"; '#' begins a comment.
std::map<std::string, std::string> golden_facts() {
  std::ifstream file(std::string(std::getenv("KILN_SOURCE_DIR")) + "/tests/golden/farm_facts_v1.txt");
  std::map<std::string, std::string> facts;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    const std::size_t space = line.find(' ');
    facts[line.substr(0, space)] = line.substr(space + 1);
  }
  return facts;
}

std::vector<std::pair<std::string, Fact>> all_samples() {
  auto all = test::fact_samples();
  for (auto& later : test::later_samples()) all.push_back(std::move(later));
  return all;
}

TEST(FactGoldenTest, EveryKindIsThere) {
  EXPECT_EQ(test::fact_samples().size(), std::variant_size_v<Fact>);
  EXPECT_EQ(golden_facts().size(), std::variant_size_v<Fact> + test::later_samples().size());
  for (std::size_t i = 0; i < test::fact_samples().size(); ++i) {
    EXPECT_EQ(test::fact_samples()[i].second.index(), i) << "in the order of the variant";
  }
}

TEST(FactGoldenTest, BytesOfFormat1AreReadAsTheyWereMeant) {
  const auto golden = golden_facts();
  for (const auto& [kind, fact] : all_samples()) {
    ASSERT_TRUE(golden.contains(kind)) << kind << ' ' << hex(encode(fact));
    const auto decoded = decode_fact(unhex(golden.at(kind)));
    ASSERT_TRUE(decoded) << kind << ": " << decoded.error().message;
    EXPECT_EQ(*decoded, fact) << kind;
  }
}

TEST(FactGoldenTest, WhatIsWrittenIsStillFormat1) {
  const auto golden = golden_facts();
  for (const auto& [kind, fact] : all_samples()) {
    ASSERT_TRUE(golden.contains(kind)) << kind << ' ' << hex(encode(fact));
    EXPECT_EQ(hex(encode(fact)), golden.at(kind)) << kind;
  }
}

}  // namespace
}  // namespace kiln::net
