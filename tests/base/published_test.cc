#include "base/published.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace kiln {
namespace {

TEST(PublishedTest, AReaderKeepsWhatItGot) {
  Published<std::string> text("first");
  const auto first = text.latest();
  text.renew("second");
  EXPECT_EQ(*first, "first");
  EXPECT_EQ(*text.latest(), "second");
}

TEST(PublishedTest, ReadersSeeWholeValuesWhileTheyAreRenewed) {
  constexpr int kRenewals = 2'000;
  constexpr std::size_t kReaders = 3;
  Published<std::string> text(std::string(64, 'a'));
  std::vector<std::thread> readers;
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      for (char seen = 'a'; seen != '.';) {
        const auto read = text.latest();
        seen = read->front();
        ASSERT_EQ(*read, std::string(64, seen));
      }
    });
  }
  for (int i = 0; i < kRenewals; ++i) text.renew(std::string(64, static_cast<char>('a' + i % 26)));
  text.renew(std::string(64, '.'));
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace kiln
