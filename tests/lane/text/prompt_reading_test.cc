// Prompts to tokens, against those that WanPipeline gives its text encoder.
#include "lane/text/prompt_reading.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <span>

#include "tests/lane/text/text_fixture.h"

namespace kiln::lane {
namespace {

const std::string& folder() {
  static const std::string kFolder = test::text_fixture("make_golden.py", "text");
  return kFolder;
}

nlohmann::json prompts() {
  const std::string said = test::read_fixture(folder() + "/cases.json");
  return said.empty() ? nlohmann::json::array() : nlohmann::json::parse(said)["prompts"];
}

Umt5Tokenizer tokenizer() {
  const std::string model = test::read_fixture(folder() + "/spiece.model");
  auto loaded = Umt5Tokenizer::load(std::as_bytes(std::span(model)));
  EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().message);
  return std::move(loaded).value();
}

using Ids = std::vector<std::int64_t>;

TEST(PromptReadingTest, GivesThePipelinesTokens) {
  const Umt5Tokenizer ours = tokenizer();
  ASSERT_GT(prompts().size(), 10U);
  for (const auto& one : prompts()) {
    const auto read = read_prompt(ours, one["prompt"].get<std::string>(), kPromptTokens, UnknownText::kTransformers5);
    ASSERT_TRUE(read) << one["prompt"];
    EXPECT_EQ(read->text, one["clean"]);
    EXPECT_EQ(read->tokens.ids, one["tokens"].get<Ids>()) << one["prompt"];
    EXPECT_EQ(read->tokens.used, one["used"]) << one["prompt"];
  }
}

TEST(PromptReadingTest, GivesSentencepiecesTokensOfTheCleanPrompt) {
  const Umt5Tokenizer ours = tokenizer();
  for (const auto& one : prompts()) {
    const auto read = read_prompt(ours, one["prompt"].get<std::string>());
    ASSERT_TRUE(read) << one["prompt"];
    EXPECT_EQ(read->tokens.ids, one["bytes"].get<Ids>()) << one["prompt"];
  }
}

TEST(PromptReadingTest, WarnsOfWhatIsCutAndOfWrongEncodings) {
  const Umt5Tokenizer ours = tokenizer();
  EXPECT_TRUE(read_prompt(ours, "A cat")->warnings.empty());
  EXPECT_TRUE(read_prompt(ours, "")->warnings.empty());
  const auto read = read_prompt(ours, "cafÃ© 1234567890", 8);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->warnings.size(), 2U);
  EXPECT_NE(read->warnings[0].find("wrong encoding"), std::string::npos);
  EXPECT_NE(read->warnings[1].find("tokens more than the 8 that are read"), std::string::npos) << read->warnings[1];
  EXPECT_FALSE(read_prompt(ours, "\xff"));
}

}  // namespace
}  // namespace kiln::lane
