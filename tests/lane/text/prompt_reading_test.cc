// Prompts to tokens, against those that WanPipeline gives its text encoder.
#include "lane/text/prompt_reading.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "base/process.h"
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

CommandOutput lane_reads(const std::string& model, const std::string& prompt) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  std::fwrite(prompt.data(), 1, prompt.size(), file.get());
  std::rewind(file.get());
  SpawnOptions options;
  options.argv = {test::from_environment("KILN_BINARY_DIR") + "/bin/kiln-lane", "--read-prompt", model};
  options.stdin_fd = ::fileno(file.get());
  auto said = run_command(options, std::chrono::minutes(2), std::size_t{1} << 24U);
  EXPECT_TRUE(said) << (said ? "" : said.error().message);
  return std::move(said).value_or(CommandOutput());
}

// Where LibTorch, the farm's protobuf and sentencepiece's own are in one process.
TEST(PromptReadingTest, TheLaneReadsPrompts) {
  const auto all = prompts();
  for (std::size_t at = 0; at < all.size(); at += 3) {  // a lane takes its time to start
    const auto& one = all[at];
    const CommandOutput said = lane_reads(folder() + "/spiece.model", one["prompt"].get<std::string>());
    ASSERT_TRUE(said.status.ok()) << said.status.describe() << said.err;
    const auto read = nlohmann::json::parse(said.out);
    EXPECT_EQ(read["text"], one["clean"]);
    Ids ids = one["bytes"].get<Ids>();
    ids.resize(read["used"].get<std::size_t>());
    EXPECT_EQ(read["tokens"].get<Ids>(), ids);
  }
}

TEST(PromptReadingTest, TheLaneRefusesInOneLine) {
  const CommandOutput bytes = lane_reads(folder() + "/spiece.model", "caf\xe9");
  EXPECT_EQ(bytes.status.exit_code, 65);
  EXPECT_EQ(bytes.err, "prompt: no UTF-8 at byte 3\n");
  const CommandOutput model = lane_reads(folder() + "/cases.json", "a cat");
  EXPECT_EQ(model.status.exit_code, 65);
  EXPECT_TRUE(model.err.starts_with("tokenizer: no sentencepiece model")) << model.err;
  EXPECT_EQ(std::count(model.err.begin(), model.err.end(), '\n'), 1) << model.err;
}

}  // namespace
}  // namespace kiln::lane
