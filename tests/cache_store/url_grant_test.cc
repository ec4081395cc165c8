#include "cache_store/url_grant.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "net/http_message.h"
#include "tests/base/temp_folder.h"

namespace kiln::cache {
namespace {

using kiln::test::TempFolder;

constexpr std::int64_t kNow = 1'800'000'000;

// As a request with that query would be judged; nullopt: allowed.
std::optional<GrantFailure> judge(const UrlKey& key, const std::string& query, std::string_view method,
                                  std::string_view path, std::uint64_t body_bytes = 0, std::int64_t now = kNow) {
  const auto target = net::parse_target("/x?" + query);
  if (!target) return GrantFailure::kMalformed;
  Grant grant;
  return key.check({method, path, target->query, body_bytes}, now, grant);
}

Grant cas_grant(std::string method) { return {std::move(method), "/cas/", "job-1", 1000, kNow + 60}; }

TEST(UrlGrantTest, AllowsWhatItSaysAndNothingElse) {
  const UrlKey key = UrlKey::generate();
  const std::string get = *key.sign(cas_grant("GET"));
  const std::string put = *key.sign(cas_grant("PUT"));
  const std::string one = *key.sign({"GET", "/cas/abc", "", 0, kNow});
  struct Row {
    const std::string& query;
    const char* method;
    const char* path;
    std::uint64_t body_bytes;
    std::int64_t now;
    std::optional<GrantFailure> expected;
  };
  const Row rows[] = {
      {get, "GET", "/cas/abc", 0, kNow, std::nullopt},
      {get, "HEAD", "/cas/abc", 0, kNow, std::nullopt},
      {get, "PUT", "/cas/abc", 0, kNow, GrantFailure::kWrongMethod},
      {get, "DELETE", "/cas/abc", 0, kNow, GrantFailure::kWrongMethod},
      {get, "GET", "/artifact/abc", 0, kNow, GrantFailure::kWrongPath},
      {get, "GET", "/cas", 0, kNow, GrantFailure::kWrongPath},
      {get, "GET", "/casX/abc", 0, kNow, GrantFailure::kWrongPath},
      {put, "PUT", "/cas/abc", 1000, kNow, std::nullopt},
      {put, "PUT", "/cas/abc", 1001, kNow, GrantFailure::kTooLarge},
      {put, "GET", "/cas/abc", 0, kNow, GrantFailure::kWrongMethod},
      {put, "HEAD", "/cas/abc", 0, kNow, GrantFailure::kWrongMethod},
      {put, "put", "/cas/abc", 0, kNow, GrantFailure::kWrongMethod},
      {get, "GET", "/cas/abc", 0, kNow + 60 + kGrantClockSkewS, std::nullopt},
      {get, "GET", "/cas/abc", 0, kNow + 61 + kGrantClockSkewS, GrantFailure::kExpired},
      {get, "GET", "/cas/abc", 0, kNow - 1'000'000, std::nullopt},
      {one, "GET", "/cas/abc", 0, kNow, std::nullopt},
      {one, "GET", "/cas/abcd", 0, kNow, GrantFailure::kWrongPath},
      {one, "GET", "/cas/", 0, kNow, GrantFailure::kWrongPath},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(judge(key, row.query, row.method, row.path, row.body_bytes, row.now), row.expected)
        << row.method << " " << row.path << " " << row.body_bytes << " " << row.now;
  }
  EXPECT_EQ(judge(key, "", "GET", "/cas/abc"), GrantFailure::kMissing);
  EXPECT_EQ(judge(UrlKey::generate(), get, "GET", "/cas/abc"), GrantFailure::kBadSignature);
}

TEST(UrlGrantTest, SaysWhoOwnsWhatIsPut) {
  const UrlKey key = UrlKey::generate();
  const auto target = net::parse_target("/x?" + *key.sign(cas_grant("PUT")));
  const auto grant = key.verify({"PUT", "/cas/abc", target->query, 10}, kNow);
  ASSERT_TRUE(grant);
  EXPECT_EQ(*grant, cas_grant("PUT"));
}

TEST(UrlGrantTest, AnyChangedCharacterIsRefused) {
  const UrlKey key = UrlKey::generate();
  std::mt19937_64 random(3);
  const std::string query = *key.sign(cas_grant("GET"));
  for (std::size_t i = 0; i < query.size(); ++i) {
    for (int round = 0; round < 8; ++round) {
      std::string changed = query;
      changed[i] = static_cast<char>(0x21 + random() % 0x5e);
      if (changed == query) continue;
      if (net::parse_target("/x?" + changed) && net::parse_target("/x?" + changed)->query == net::parse_target("/x?" + query)->query) {
        continue;  // %2F and %2f are one path
      }
      EXPECT_NE(judge(key, changed, "GET", "/cas/abc"), std::nullopt) << changed;
    }
  }
}

TEST(UrlGrantTest, FieldsCannotBeMovedIntoEachOther) {
  const UrlKey key = UrlKey::generate();
  std::mt19937_64 random(4);
  const std::string owners[] = {"", "a", "job-1", "1", "10"};
  const std::string paths[] = {"/cas/", "/cas/1", "/pins/a", "/"};
  std::map<std::string, Grant> by_tag;
  for (int i = 0; i < 400; ++i) {
    const Grant grant{random() % 2 == 0 ? "GET" : "PUT", paths[random() % 4], owners[random() % 5], random() % 3 * 10,
                      static_cast<std::int64_t>(kNow + random() % 3)};
    const std::string query = *key.sign(grant);
    const std::string tag = query.substr(query.find("&s="));
    const auto [at, fresh] = by_tag.emplace(tag, grant);
    EXPECT_EQ(at->second, grant) << "two grants with one signature";
  }
}

TEST(UrlGrantTest, NothingIsSignedThatCouldNotBeReadBack) {
  const UrlKey key = UrlKey::generate();
  EXPECT_FALSE(key.sign({"GET", "cas/", "", 0, kNow}));
  EXPECT_FALSE(key.sign({"GET", "/cas/\n", "", 0, kNow}));
  EXPECT_FALSE(key.sign({"get", "/cas/", "", 0, kNow}));
  EXPECT_FALSE(key.sign({"HEAD", "/cas/", "", 0, kNow}));
  EXPECT_FALSE(key.sign({"GET", "/cas/", "../x", 0, kNow}));
  EXPECT_FALSE(key.sign({"GET", "/cas/", "a&b=c", 0, kNow}));
  EXPECT_FALSE(key.sign({"GET", "/cas/", "", 0, -1}));
  EXPECT_FALSE(key.sign({"GET", "/" + std::string(kGrantPathCharsMax, 'a'), "", 0, kNow}));
  EXPECT_FALSE(is_owner_name(std::string(kGrantOwnerCharsMax + 1, 'a')));
  EXPECT_FALSE(is_owner_name("a@b"));
  EXPECT_TRUE(is_owner_name("Job_1.2-x"));
}

TEST(UrlKeyTest, IsMadeOncePrivateAndTheSameAfterwards) {
  const TempFolder folder;
  const auto first = UrlKey::load_or_create(posix_file_system(), folder / "url_key");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(posix_file_system().stat(folder / "url_key")->mode, 0600U);
  const auto second = UrlKey::load_or_create(posix_file_system(), folder / "url_key");
  ASSERT_TRUE(second);
  EXPECT_EQ(judge(*second, *first->sign(cas_grant("GET")), "GET", "/cas/a"), std::nullopt);
}

TEST(UrlKeyTest, OthersKeysAndDamagedOnesAreRefused) {
  const TempFolder folder;
  const std::string path = folder / "url_key";
  ASSERT_TRUE(UrlKey::load_or_create(posix_file_system(), path));
  ::chmod(path.c_str(), 0640);
  const auto readable = UrlKey::load_or_create(posix_file_system(), path);
  ASSERT_FALSE(readable);
  EXPECT_EQ(exit_code(readable.error()), 65);
  ::chmod(path.c_str(), 0600);
  ASSERT_EQ(::truncate(path.c_str(), 30), 0);
  const auto damaged = UrlKey::load_or_create(posix_file_system(), path);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(exit_code(damaged.error()), 65);
}

}  // namespace
}  // namespace kiln::cache
