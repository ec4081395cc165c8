// Cleaned prompts against diffusers' prompt_clean and ftfy, in Python.
#include "lane/text/prompt_cleaning.h"

#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>

#include "lane/text/misdecoded.h"
#include "lane/text/unicode.h"
#include "tests/lane/text/text_fixture.h"

namespace kiln::lane {
namespace {

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < digits.size(); at += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

struct Case {
  std::string prompt, clean, unrepaired;
  bool bad;  // to ftfy's heuristic
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = [] {
    const std::string said = test::read_fixture(test::text_fixture("make_prompts.py", "prompts"));
    std::vector<Case> all;
    if (said.empty()) return all;
    const auto read = nlohmann::json::parse(said);
    for (const auto& one : read["prompts"]) {
      const auto bytes = [&](const char* name) { return from_hex(one[name].get<std::string>()); };
      all.push_back({bytes("prompt"), bytes("clean"), bytes("unrepaired"), one["bad"].get<bool>()});
    }
    return all;
  }();
  return kCases;
}

CleanPrompt cleaned(const std::string& prompt) {
  auto clean = clean_prompt(prompt);
  EXPECT_TRUE(clean) << prompt << ": " << (clean ? "" : clean.error().message);
  return clean.value_or(CleanPrompt());
}

TEST(PromptCleaningTest, GivesWhatDiffusersGivesOrWarns) {
  ASSERT_GT(cases().size(), 12000U);
  std::size_t quiet = 0;
  std::size_t mended = 0;
  std::size_t warned_for_nothing = 0;
  for (const Case& one : cases()) {
    const CleanPrompt clean = cleaned(one.prompt);
    ASSERT_TRUE(clean.text == one.clean || !clean.warning.empty()) << one.prompt << "\n" << clean.text << "\n" << one.clean;
    quiet += clean.warning.empty() ? 1 : 0;
    mended += one.clean != one.unrepaired ? 1 : 0;
    warned_for_nothing += !clean.warning.empty() && one.clean == one.unrepaired ? 1 : 0;
  }
  EXPECT_GT(quiet, 8000U);
  EXPECT_GT(mended, 1000U);
  RecordProperty("warned_for_nothing", static_cast<int>(warned_for_nothing));
}

TEST(PromptCleaningTest, IsAllOfItButTheRepairOfEncodings) {
  for (const Case& one : cases()) EXPECT_EQ(cleaned(one.prompt).text, one.unrepaired) << one.prompt;
}

TEST(PromptCleaningTest, FindsWrongEncodingsWhereFtfyDoes) {
  std::size_t bad = 0;
  for (const Case& one : cases()) {
    EXPECT_EQ(find_misdecoded(from_utf8(one.prompt).value_or(U"")).has_value(), one.bad) << one.prompt;
    bad += one.bad ? 1 : 0;
  }
  EXPECT_GT(bad, 2000U);
  EXPECT_GT(cases().size() - bad, 5000U);
}

TEST(PromptCleaningTest, TheWarningShowsThePlaceInOneLine) {
  const CleanPrompt clean = cleaned("a man in a cafÃ©, \x1b[1mat night");
  EXPECT_EQ(clean.text, "a man in a cafÃ©, at night");
  EXPECT_NE(clean.warning.find(" at 'n in a cafÃ©': "), std::string::npos) << clean.warning;
  for (const char* ordinary :
       {"Ein Mädchen läuft über die Straße, 20 °C", "« L’été à Paris », œuvre d’art", "Він їсть борщ", "Ângela vê o Ártico",
        "¿Qué? ¡Sí!", "ÅNGSTRÖM ÉCOLE", "10 € – 12 £ (±5 %)", "\"½ cup\"", "Dvořák žije", "Łódź", "Ελλάδα", "Việt Nam",
        "Türkiye’de İstanbul"}) {
    EXPECT_EQ(cleaned(ordinary).warning, "") << ordinary;
  }
}

TEST(RefusedPromptTest, WhatIsNoUtf8IsRefusedWithItsPlace) {
  for (const auto& [bytes, at] :
       {std::pair("caf\xe9", 3), std::pair("\xff", 0), std::pair("ab\xc3", 2), std::pair("\xc0\x80", 0),
        std::pair("\xf4\x90\x80\x80", 0), std::pair("a\xed\xa0", 1), std::pair("\xe2\x80", 0)}) {
    const auto clean = clean_prompt(bytes);
    ASSERT_FALSE(clean) << bytes;
    EXPECT_EQ(clean.error().message, fmt::format("prompt: no UTF-8 at byte {}", at));
    EXPECT_EQ(exit_code(clean.error()), 65);
  }
}

TEST(RefusedPromptTest, BeyondItsBoundsIsRefused) {
  EXPECT_TRUE(clean_prompt(std::string(kPromptTextBytesMax, 'a')));
  EXPECT_FALSE(clean_prompt(std::string(kPromptTextBytesMax + 1, 'a')));
  const auto nested = [](int depth) {
    std::string text = "&";
    for (int i = 0; i < depth; ++i) text += "amp;";
    return text + "lt;";
  };
  const auto deepest = clean_prompt(nested(kCleaningPassesMax - 2));
  ASSERT_TRUE(deepest);
  EXPECT_EQ(deepest->text, "<");
  const auto deeper = clean_prompt(nested(kCleaningPassesMax));
  ASSERT_FALSE(deeper);
  EXPECT_NE(deeper.error().message.find("more than 32 deep"), std::string::npos) << deeper.error().message;
}

// Under AddressSanitizer, unoptimised, the longest of them would take a minute.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kLargeBytes = kPromptTextBytesMax / 16;
#else
constexpr std::size_t kLargeBytes = kPromptTextBytesMax;
#endif

std::string repeated(std::string_view part, std::string_view begin) {
  std::string text(begin);
  while (text.size() + part.size() <= kLargeBytes) text += part;
  return text;
}

// Each would take minutes or hours if a step took the square of its length.
TEST(LargePromptTest, AMegabyteOfAnythingTakesSeconds) {
  constexpr double kSecondsMax = 10;  // 1.2 at most have been seen
  for (const std::string_view part :
       {"&", "&amp;", "&a", "&#", "&#1", "&#x", "&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "amp;", "1", "\x1b[", "\x1b[1;",
        ";", "\n", "\r\n", " ", "<", "\xcc\x81\xcc\xa3", "e\xcc\x81\xcc\xa3\xcc\x95", "\xe1\x84\x80\xe1\x85\xa1",
        "\xed\xa0\x80", "\xed\xa0\xbd\xed\xb2\xa9", "\xc3\x83\xc2\xa9", "\xef\xbc\x86", "\xf0\x9d\x85\x9e", "\xe2\x80\xa8"}) {
    for (const std::string& text : {repeated(part, ""), repeated(part, "&"), repeated(part, "a")}) {
      const std::clock_t begun = std::clock();
      const auto clean = clean_prompt(text);
      EXPECT_LT(static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC, kSecondsMax) << part;
    }
  }
}

// Whatever comes in, what comes out is UTF-8, on one line, without spaces at its ends or in a row.
TEST(LargePromptTest, AnyBytesAreCleanedOrRefused) {
  std::mt19937 chance(20);
  constexpr std::array<std::string_view, 14> kParts = {
      "&",        "#",            "x1",           "amp;", "\x1b[", "\xed\xa0\xbd", "\xed\xb2\xa9",
      "\xcc\x81", "\xe1\x84\x80", "\xef\xbb\xbf", " ",    "\r",    "a",            "\xc2\x85"};
  std::size_t taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t parts = chance() % 24; parts > 0; --parts) {
      const auto any = static_cast<char>(chance() & 0xFFU);
      text += chance() % 16 == 0 ? std::string_view(&any, 1) : kParts[chance() % kParts.size()];
    }
    const auto clean = clean_prompt(text);
    if (!clean) continue;
    ++taken;
    const auto back = from_utf8(clean->text);
    ASSERT_TRUE(back) << text;
    for (std::size_t at = 0; at < back->size(); ++at) {
      const bool space = is_white_space((*back)[at]);
      ASSERT_FALSE(space && ((*back)[at] != U' ' || at == 0 || at + 1 == back->size() || is_white_space((*back)[at - 1]))) << text;
    }
  }
  EXPECT_GT(taken, 8000U);
}

}  // namespace
}  // namespace kiln::lane
