// Journals of released formats are read for ever. make_golden_journal wrote them.
#include <cstdlib>
#include <filesystem>

#include "net/farm_codec.h"
#include "tests/base/temp_folder.h"
#include "tests/coordinator/journal/journal_fixture.h"
#include "tests/net/farm/fact_samples.h"

namespace kiln::coordinator {
namespace {

TEST(GoldenJournalTest, Format1IsReadAsItWasMeant) {
  const kiln::test::TempFolder folder;
  std::filesystem::create_directory(folder / "j");
  std::filesystem::copy_file(std::string(std::getenv("KILN_SOURCE_DIR")) + "/tests/golden/journal_v1.db",
                             folder / "j/journal.db");
  const auto journal = test::open_journal(folder / "j");
  ASSERT_NE(journal, nullptr);
  const auto stored = test::read_facts(*journal);
  const auto samples = net::test::fact_samples();
  ASSERT_EQ(stored.size(), samples.size()) << "one of every kind";
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const auto fact = net::decode_fact(stored[i].body);
    ASSERT_TRUE(fact) << samples[i].first << ": " << fact.error().message;
    EXPECT_EQ(*fact, samples[i].second) << samples[i].first;
  }
  EXPECT_EQ(journal->append({"and it goes on"}).value(), samples.size() + 1);
}

}  // namespace
}  // namespace kiln::coordinator
