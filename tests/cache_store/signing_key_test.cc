#include "cache_store/signing_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/atomic_file.h"
#include "cache_store/trusted_keys.h"
#include "tests/base/fault_file_system.h"
#include "tests/base/temp_folder.h"
#include "tests/cache_store/artifact_builder.h"

namespace kiln::cache {
namespace {

using kiln::test::FaultFileSystem;
using kiln::test::TempFolder;
using test::bytes_of;

TEST(SigningKeyTest, IsMadeOnceAndReadableByItsOwnerAlone) {
  const TempFolder folder;
  const auto made = SigningKey::load_or_create(posix_file_system(), folder / "key");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(posix_file_system().stat(folder / "key")->mode, 0600U);
  const auto read = SigningKey::load_or_create(posix_file_system(), folder / "key");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->public_key(), made->public_key());
  EXPECT_TRUE(signature_is_valid(made->public_key(), bytes_of("m"), read->sign(bytes_of("m"))));
  EXPECT_FALSE(signature_is_valid(made->public_key(), bytes_of("n"), read->sign(bytes_of("m"))));
}

TEST(SigningKeyTest, RefusesAFileThatOthersCanRead) {
  const TempFolder folder;
  ASSERT_TRUE(SigningKey::load_or_create(posix_file_system(), folder / "key"));
  for (const mode_t mode : {0640U, 0604U, 0660U, 0602U}) {
    ASSERT_EQ(::chmod((folder / "key").c_str(), mode), 0);
    const auto key = SigningKey::load_or_create(posix_file_system(), folder / "key");
    ASSERT_FALSE(key) << mode;
    EXPECT_EQ(exit_code(key.error()), 65);
    EXPECT_NE(key.error().message.find(folder / "key"), std::string::npos);
  }
}

TEST(SigningKeyTest, RefusesADamagedFileAndKeepsIt) {
  const TempFolder folder;
  ASSERT_TRUE(SigningKey::load_or_create(posix_file_system(), folder / "key"));
  const std::string good = *read_file(folder / "key", 1000);
  std::vector<std::string> bad{good.substr(0, 47), good + "x", ""};
  for (std::size_t i = 0; i < good.size(); ++i) {
    bad.push_back(good);
    bad.back()[i] = static_cast<char>(good[i] ^ 4);
  }
  for (const std::string& bytes : bad) {
    ASSERT_TRUE(write_file_atomic(folder / "key", bytes, 0600));
    const auto key = SigningKey::load_or_create(posix_file_system(), folder / "key");
    ASSERT_FALSE(key);
    EXPECT_EQ(exit_code(key.error()), 65);
    EXPECT_EQ(*read_file(folder / "key", 1000), bytes);
  }
}

TEST(SigningKeyTest, IsWholeOrAbsentWhereverPowerIsLost) {
  bool completed = false;
  for (std::uint64_t stop = 1; !completed; ++stop) {
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
      FaultFileSystem files;
      ASSERT_TRUE(make_directories(files, "/state"));
      files.stop_at(stop);
      const auto first = SigningKey::load_or_create(files, "/state/key");
      completed = !files.stopped();
      files.lose_power(seed);
      const auto second = SigningKey::load_or_create(files, "/state/key");
      ASSERT_TRUE(second) << second.error().message;
      if (first) {
        EXPECT_EQ(first->public_key(), second->public_key());
      }
      EXPECT_EQ(files.all_files().size(), 1U) << "an unfinished key stayed on disk";
    }
  }
}

TEST(TrustedKeysTest, SurviveTheirText) {
  const auto a = SigningKey::generate();
  const auto b = SigningKey::generate();
  TrustedKeys keys = test::trusting(*a);
  keys.trust(b->public_key());
  keys.revoke(a->public_key().id());
  keys.raise_minimum_epoch(7);
  keys.raise_minimum_epoch(5);
  const auto read = TrustedKeys::parse("" + keys.to_text() + "\n# a comment\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->to_text(), keys.to_text());
  EXPECT_TRUE(read->revoked(a->public_key().id()));
  EXPECT_FALSE(read->revoked(b->public_key().id()));
  EXPECT_EQ(*read->find(b->public_key().id()), b->public_key());
  EXPECT_EQ(read->minimum_epoch(), 7U);
}

TEST(TrustedKeysTest, ATypingErrorNamesItsLine) {
  for (const char* line : {"trust 12", "revoke xyz", "minimum-epoch -1", "minimum-epoch 1x", "trsut", "revoke"}) {
    const auto keys = TrustedKeys::parse("kiln-trusted-keys 1\n\n" + std::string(line) + "\n");
    ASSERT_FALSE(keys) << line;
    EXPECT_EQ(exit_code(keys.error()), 78);
    EXPECT_NE(keys.error().message.find("line 3"), std::string::npos);
  }
  EXPECT_FALSE(TrustedKeys::parse(""));
  EXPECT_FALSE(TrustedKeys::parse("kiln-trusted-keys 2\n"));
}

}  // namespace
}  // namespace kiln::cache
