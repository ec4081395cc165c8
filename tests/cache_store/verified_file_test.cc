#include "cache_store/verified_file.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;

TEST(VerifiedFileTest, HandsOutASealedCopyThatLaterChangesDoNotReach) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "w", "weights"));
  const auto copy = load_sealed_verified(folder / "w", sha256(std::string_view("weights")));
  ASSERT_TRUE(copy) << copy.error().message;
  ASSERT_TRUE(write_file_atomic(folder / "w", "changed"));
  EXPECT_TRUE(require_sealed(copy->get()));
  EXPECT_EQ(test::text_of(copy->get()), "weights");
}

TEST(VerifiedFileTest, AChangedFileIsRefusedByName) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "w", "weights!"));
  const auto copy = load_sealed_verified(folder / "w", sha256(std::string_view("weights")));
  ASSERT_FALSE(copy);
  EXPECT_EQ(exit_code(copy.error()), 65);
  EXPECT_NE(copy.error().message.find(folder / "w"), std::string::npos);
}

TEST(VerifiedFileTest, AMissingFileIsExitCode66AndAFolder65) {
  const TempFolder folder;
  EXPECT_EQ(exit_code(load_sealed_verified(folder / "none", {}).error()), 66);
  EXPECT_EQ(exit_code(load_sealed_verified(folder.path(), {}).error()), 65);
}

}  // namespace
}  // namespace kiln::cache
