#include "net/allow_list.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <set>

#include "base/atomic_file.h"
#include "net/curve_keys.h"
#include "tests/base/temp_folder.h"

namespace kiln::net {
namespace {

using kiln::test::TempFolder;

const std::string kKeyA = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
const std::string kKeyB = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

TEST(AllowListTest, ReadsKeysRolesAndNames) {
  const auto list = AllowList::parse("# workers\n" + kKeyA + " worker gpu-1\n\n  #" + kKeyA + " admin x\n\t" + kKeyB +
                                         "\tadmin   ann.b_c \r\n",
                                     "allow");
  ASSERT_TRUE(list) << list.error().message;
  ASSERT_EQ(list->peers().size(), 2U);
  EXPECT_EQ(*list->find(kKeyA), (AllowedPeer{"gpu-1", PeerRole::kWorker, kKeyA}));
  EXPECT_EQ(*list->find(kKeyB), (AllowedPeer{"ann.b_c", PeerRole::kAdmin, kKeyB}));
  EXPECT_EQ(list->find(kKeyB)->user_id(), "admin:ann.b_c");
  EXPECT_EQ(list->find(generate_curve_keys()->public_z85), nullptr);
  EXPECT_EQ(list->find(""), nullptr);
}

TEST(AllowListTest, ErrorsNameFileLineAndWhat) {
  struct Row {
    std::string line;
    std::string says;
  };
  const std::string long_name(kPeerNameCharsMax + 1, 'n');
  const std::vector<Row> rows{
      {kKeyA, "KEY ROLE NAME"},
      {kKeyA + " worker", "KEY ROLE NAME"},
      {kKeyA + " worker gpu 1", "4 words"},
      {kKeyA + " wroker gpu", "Did you mean 'worker'?"},
      {kKeyA + " Worker gpu", "'Worker' is no role"},
      {kKeyA.substr(1) + " worker gpu", "is no public key"},
      {kKeyA + "0 worker gpu", "is no public key"},
      {std::string(kZ85KeyChars, '#') + "", ""},  // a comment
      {std::string(kZ85KeyChars, '~') + " worker gpu", "is no public key"},
      {kKeyA + " worker gpu:1", "'gpu:1' is no name"},
      {kKeyA + " worker " + long_name, "is no name"},
      {kKeyB + " worker other", "this key is that of 'first' already"},
      {kKeyA + " worker first", "the name 'first' is taken already"},
  };
  for (const Row& row : rows) {
    const auto list = AllowList::parse(kKeyB + " client first\n\n" + row.line + "\n", "farm/allow");
    if (row.says.empty()) {
      EXPECT_TRUE(list) << list.error().message;
      continue;
    }
    ASSERT_FALSE(list) << row.line;
    EXPECT_EQ(exit_code(list.error()), 78);
    EXPECT_TRUE(list.error().message.starts_with("farm/allow, line 3: ")) << list.error().message;
    EXPECT_NE(list.error().message.find(row.says), std::string::npos) << list.error().message;
  }
}

TEST(AllowListTest, IsBounded) {
  EXPECT_FALSE(AllowList::parse(std::string(kAllowListBytesMax + 1, '\n'), "allow"));
  AllowList list;
  for (std::size_t i = 0; i <= kAllowedPeersMax; ++i) {
    std::array<std::uint8_t, 32> bytes{};
    std::array<char, kZ85KeyChars + 1> key{};
    bytes[0] = static_cast<std::uint8_t>(i);
    bytes[1] = static_cast<std::uint8_t>(i >> 8U);
    ASSERT_NE(::zmq_z85_encode(key.data(), bytes.data(), bytes.size()), nullptr);
    ASSERT_EQ(list.add({fmt::format("n{}", i), PeerRole::kWorker, key.data()}).has_value(), i < kAllowedPeersMax);
  }
}

RC_GTEST_PROP(AllowListPropertyTest, TextIsReadBackAsItWas, ()) {
  const auto names = *rc::gen::container<std::set<std::string>>(rc::gen::map(
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("aZ09.-_")))),
      [](const std::string& name) { return name.substr(0, kPeerNameCharsMax); }));
  AllowList list;
  for (const std::string& name : names) {
    const auto bytes = *rc::gen::container<std::vector<std::uint8_t>>(32, rc::gen::arbitrary<std::uint8_t>());
    std::array<char, kZ85KeyChars + 1> key{};
    RC_ASSERT(::zmq_z85_encode(key.data(), bytes.data(), bytes.size()) != nullptr);
    RC_ASSERT(key[0] != '#');
    if (list.find(key.data()) != nullptr) continue;
    const auto role = *rc::gen::element(PeerRole::kWorker, PeerRole::kClient, PeerRole::kAdmin);
    RC_ASSERT(list.add({name, role, key.data()}).has_value());
  }
  const auto back = AllowList::parse(list.to_text(), "text");
  RC_ASSERT(back.has_value());
  RC_ASSERT(back->peers() == list.peers());
  for (const AllowedPeer& peer : list.peers()) RC_ASSERT(*back->find(peer.public_key) == peer);
}

RC_GTEST_PROP(AllowListPropertyTest, NoTextCrashesIt, (const std::string& text)) {
  const auto list = AllowList::parse(text, "text");
  if (list) RC_ASSERT(AllowList::parse(list->to_text(), "again")->peers() == list->peers());
}

TEST(AllowListTest, AFileThatOthersMayWriteIsRefused) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "allow", kKeyA + " worker gpu-1\n", 0644));
  EXPECT_EQ(AllowList::load(folder / "allow")->peers().size(), 1U);
  ASSERT_EQ(::symlink("allow", (folder / "link").c_str()), 0);
  EXPECT_TRUE(AllowList::load(folder / "link"));
  for (const mode_t mode : {0664U, 0646U}) {
    ASSERT_EQ(::chmod((folder / "allow").c_str(), mode), 0);
    const auto list = AllowList::load(folder / "allow");
    ASSERT_FALSE(list) << mode;
    EXPECT_EQ(exit_code(list.error()), 78);
  }
  EXPECT_EQ(AllowList::load(folder / "none").error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(AllowList::load(folder.path()));
}

}  // namespace
}  // namespace kiln::net
