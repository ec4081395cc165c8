#include "net/curve_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/atomic_file.h"
#include "base/sealed_file.h"
#include "tests/base/fault_file_system.h"
#include "tests/base/temp_folder.h"

namespace kiln::net {
namespace {

using kiln::test::FaultFileSystem;
using kiln::test::TempFolder;

TEST(CurveKeysTest, SurviveTheirFileWhichOnlyTheOwnerReads) {
  const TempFolder folder;
  const CurveKeyPair keys = generate_curve_keys().value();
  EXPECT_TRUE(is_z85_key(keys.public_z85));
  EXPECT_TRUE(is_z85_key(keys.secret_z85));
  ASSERT_TRUE(save_curve_keys(posix_file_system(), folder / "key", keys));
  EXPECT_EQ(posix_file_system().stat(folder / "key")->mode, 0600U);
  const auto read = load_curve_keys(posix_file_system(), folder / "key");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->public_z85, keys.public_z85);
  EXPECT_EQ(read->secret_z85, keys.secret_z85);
  EXPECT_NE(generate_curve_keys()->secret_z85, keys.secret_z85);
  for (int i = 0; i < 500; ++i) EXPECT_NE(generate_curve_keys()->public_z85[0], '-') << "a command line takes it for a flag";
}

TEST(CurveKeysTest, AFileThatIsThereIsNeverReplaced) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "key", "something of the user's", 0600));
  const Status saved = save_curve_keys(posix_file_system(), folder / "key", generate_curve_keys().value());
  ASSERT_FALSE(saved);
  EXPECT_EQ(exit_code(saved.error()), 73);
  EXPECT_EQ(*read_file(folder / "key", 100), "something of the user's");
}

TEST(CurveKeysTest, RefusesAFileThatOthersCanRead) {
  const TempFolder folder;
  ASSERT_TRUE(save_curve_keys(posix_file_system(), folder / "key", generate_curve_keys().value()));
  for (const mode_t mode : {0640U, 0604U, 0660U, 0602U}) {
    ASSERT_EQ(::chmod((folder / "key").c_str(), mode), 0);
    const auto keys = load_curve_keys(posix_file_system(), folder / "key");
    ASSERT_FALSE(keys) << mode;
    EXPECT_EQ(exit_code(keys.error()), 65);
    EXPECT_NE(keys.error().message.find("chmod 600"), std::string::npos) << keys.error().message;
  }
}

TEST(CurveKeysTest, MissingFileIsNotFound) {
  const TempFolder folder;
  const auto keys = load_curve_keys(posix_file_system(), folder / "key");
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(exit_code(keys.error()), 66);
}

TEST(CurveKeysTest, RefusesEveryDamagedFile) {
  const TempFolder folder;
  const CurveKeyPair keys = generate_curve_keys().value();
  ASSERT_TRUE(save_curve_keys(posix_file_system(), folder / "key", keys));
  const std::string good = *read_file(folder / "key", 1000);
  std::vector<std::string> bad{"", good + "more\n", good.substr(0, 60), std::string(10'000, 'k')};
  for (std::size_t i = 0; i < good.size() - 1; ++i) {
    bad.push_back(good);
    bad.back()[i] = good[i] == '7' ? '8' : '7';
  }
  // Two good halves that do not belong together.
  bad.push_back(good);
  bad.back().replace(good.find(keys.public_z85), kZ85KeyChars, generate_curve_keys()->public_z85);
  for (const std::string& text : bad) {
    std::ofstream(folder / "key", std::ios::trunc) << text;  // keeps its mode
    const auto read = load_curve_keys(posix_file_system(), folder / "key");
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(exit_code(read.error()), 65);
    EXPECT_EQ(read.error().message.find(keys.secret_z85), std::string::npos) << "a secret in a message";
  }
}

TEST(CurveKeysTest, LeavesNothingBehindWhenTheDiskIsFull) {
  FaultFileSystem files;
  ASSERT_TRUE(make_directories(files, "/keys"));
  files.limit_bytes(20);
  const Status saved = save_curve_keys(files, "/keys/key", generate_curve_keys().value());
  ASSERT_FALSE(saved);
  EXPECT_EQ(exit_code(saved.error()), 74);
  EXPECT_TRUE(files.all_files().empty());
}

TEST(CurveKeysTest, AKeyMayComeInADescriptorAndBeInNoFile) {
  const CurveKeyPair keys = generate_curve_keys().value();
  const std::string text = curve_key_text(keys);
  const auto fd = make_sealed("key", std::as_bytes(std::span(text)));
  ASSERT_TRUE(fd.has_value());
  const std::string path = fmt::format("fd:{}", fd->get());
  for (int time = 0; time < 2; ++time) {  // a process that is started again finds it where the first one left it
    const auto loaded = load_curve_keys(posix_file_system(), path);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(loaded->secret_z85, keys.secret_z85);
  }
  EXPECT_FALSE(load_curve_keys(posix_file_system(), "fd:9999").has_value());
  EXPECT_FALSE(load_curve_keys(posix_file_system(), path + "x").has_value());
}

TEST(CurveKeysTest, KnowsAKeyFromOtherText) {
  const std::string key = generate_curve_keys()->public_z85;
  EXPECT_TRUE(is_z85_key(key));
  EXPECT_FALSE(is_z85_key(""));
  EXPECT_FALSE(is_z85_key(key.substr(1)));
  EXPECT_FALSE(is_z85_key(key + "0"));
  for (const char character : {'"', ' ', '\0', '\n', '~', '\x80'}) {
    std::string other = key;
    other[7] = character;
    EXPECT_FALSE(is_z85_key(other)) << character;
  }
  EXPECT_FALSE(is_z85_key(std::string(kZ85KeyChars, '#')));  // stands for more than four bytes can hold
}

}  // namespace
}  // namespace kiln::net
