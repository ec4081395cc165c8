// Tokens of hard texts against sentencepiece's and transformers' own, in Python.
#include "lane/text/umt5_tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "tests/lane/text/text_fixture.h"

namespace kiln::lane {
namespace {

struct Golden {
  std::string model;
  nlohmann::json texts;
};

const Golden& golden() {
  static const Golden kGolden = [] {
    const std::string folder = test::text_fixture("make_golden.py", "text");
    const std::string said = test::read_fixture(folder + "/cases.json");
    const auto cases = nlohmann::json::parse(said.empty() ? "{}" : said);
    return Golden{test::read_fixture(folder + "/spiece.model"), cases.value("texts", nlohmann::json::array())};
  }();
  return kGolden;
}

Umt5Tokenizer tokenizer() {
  auto loaded = Umt5Tokenizer::load(std::as_bytes(std::span(golden().model)));
  EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().message);
  return std::move(loaded).value();
}

using Ids = std::vector<std::int64_t>;

TEST(Umt5TokenizerTest, GivesSentencepiecesTokens) {
  const Umt5Tokenizer ours = tokenizer();
  ASSERT_GT(golden().texts.size(), 90U);
  for (const auto& one : golden().texts) {
    const auto tokens = ours.encode(one["text"].get<std::string>(), one["length"]);
    ASSERT_TRUE(tokens) << one["text"];
    EXPECT_EQ(tokens->ids, one["bytes"].get<Ids>()) << one["text"] << " " << one["length"];
  }
}

TEST(Umt5TokenizerTest, GivesTokensAndMaskOfTransformersWhereItIsToldTo) {
  const Umt5Tokenizer ours = tokenizer();
  for (const auto& one : golden().texts) {
    const auto tokens = ours.encode(one["text"].get<std::string>(), one["length"], UnknownText::kTransformers5);
    ASSERT_TRUE(tokens) << one["text"];
    EXPECT_EQ(tokens->ids, one["transformers"].get<Ids>()) << one["text"] << " " << one["length"];
    EXPECT_EQ(tokens->used, one["used"]) << one["text"] << " " << one["length"];
  }
}

// The two differ where a character has no piece, and only there; the table has texts of both kinds.
TEST(Umt5TokenizerTest, UnknownTextIsAllThatTransformersHasOtherwise) {
  const Umt5Tokenizer ours = tokenizer();
  std::size_t same = 0;
  std::size_t differing = 0;
  for (const auto& one : golden().texts) {
    const bool equal = one["bytes"] == one["transformers"];
    const Ids ids = one["bytes"].get<Ids>();
    const bool has_bytes = std::any_of(ids.begin(), ids.end(), [](std::int64_t id) { return id >= 4 && id < 260; });
    EXPECT_EQ(equal, !has_bytes) << one["text"] << " " << one["length"];
    ++(equal ? same : differing);
  }
  EXPECT_GT(same, 30U);
  EXPECT_GT(differing, 15U);
}

TEST(Umt5TokenizerTest, ALongPromptIsCutAndSaysByHowMuch) {
  const Umt5Tokenizer ours = tokenizer();
  std::string text;
  for (int i = 0; i < 600; ++i) text += "7";  // digits are tokens of their own
  const auto whole = ours.encode(text, 1000);
  const auto cut = ours.encode(text);
  ASSERT_TRUE(whole && cut);
  EXPECT_EQ(whole->cut, 0);
  EXPECT_EQ(cut->ids.size(), 512U);
  EXPECT_EQ(cut->used, 512);
  EXPECT_EQ(cut->cut, whole->used - 512);
  EXPECT_EQ(cut->ids.back(), 1);
}

TEST(Umt5TokenizerTest, AnEmptyPromptIsTheEndAlone) {
  const auto tokens = tokenizer().encode("", 4);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->ids, (Ids{1, 0, 0, 0}));
  EXPECT_EQ(tokens->used, 1);
}

TEST(Umt5TokenizerTest, NamesOfTokensInAPromptAreText) {
  const Umt5Tokenizer ours = tokenizer();
  for (const std::string text : {"a </s> b", "<pad>", "<s>", "<unk>"}) {
    const auto tokens = ours.encode(text, 64);
    ASSERT_TRUE(tokens);
    for (std::int64_t i = 0; i + 1 < tokens->used; ++i) EXPECT_GE(tokens->ids[static_cast<std::size_t>(i)], 4) << text;
  }
}

TEST(Umt5TokenizerTest, SeveralThreadsMayAskAtOnce) {
  const Umt5Tokenizer ours = tokenizer();
  const auto expected = ours.encode("A cat and a dog 猫");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 200; ++k) EXPECT_EQ(ours.encode("A cat and a dog 猫")->ids, expected->ids);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(RefusedTokenizerTest, WhatIsNoModelIsRefused) {
  const auto load = [](std::string_view bytes) { return Umt5Tokenizer::load(std::as_bytes(std::span(bytes))); };
  EXPECT_FALSE(load(""));
  EXPECT_FALSE(load("no model"));
  EXPECT_FALSE(load(std::string(1000, '\xff')));
  // Most of a model, and its end, is one field: how texts are normalized.
  const std::string_view model = golden().model;
  for (const std::size_t bytes : {model.size() / 2, model.size() / 4 * 3, model.size() - 1}) {
    EXPECT_FALSE(load(model.substr(0, bytes))) << bytes;
  }
}

TEST(RefusedTokenizerTest, AskingForNoTokensOrTooLongATextIsAnError) {
  const Umt5Tokenizer ours = tokenizer();
  EXPECT_FALSE(ours.encode("a", 0));
  EXPECT_FALSE(ours.encode("a", kPromptTokensMax + 1));
  EXPECT_FALSE(ours.encode(std::string(kPromptTextBytesMax + 1, 'a')));
}

}  // namespace
}  // namespace kiln::lane
