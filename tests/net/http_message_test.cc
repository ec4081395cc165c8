#include "net/http_message.h"

#include <gtest/gtest.h>

#include <random>

#include "net/http_head.h"

namespace kiln::net {
namespace {

TEST(HttpMessageTest, RangesByTable) {
  struct Row {
    const char* header;
    std::uint64_t size;
    RangeChoice expected;
  };
  const Row rows[] = {
      {"", 10, WholeFile{}},
      {"bytes=0-9", 10, ByteRange{0, 10}},
      {"bytes=0-0", 10, ByteRange{0, 1}},
      {"bytes=9-9", 10, ByteRange{9, 1}},
      {"bytes=3-", 10, ByteRange{3, 7}},
      {"bytes=3-99", 10, ByteRange{3, 7}},
      {"bytes=-4", 10, ByteRange{6, 4}},
      {"bytes=-40", 10, ByteRange{0, 10}},
      {" bytes=1-2 ", 10, ByteRange{1, 2}},
      {"bytes=1-99999999999999999999999999", 10, ByteRange{1, 9}},
      {"bytes=10-", 10, Unsatisfiable{}},
      {"bytes=10-11", 10, Unsatisfiable{}},
      {"bytes=99999999999999999999999999-", 10, Unsatisfiable{}},
      {"bytes=-0", 10, Unsatisfiable{}},
      {"bytes=0-", 0, Unsatisfiable{}},
      {"bytes=-5", 0, Unsatisfiable{}},
      {"bytes=5-3", 10, WholeFile{}},
      {"bytes=1-2,4-5", 10, WholeFile{}},
      {"bytes=", 10, WholeFile{}},
      {"bytes=-", 10, WholeFile{}},
      {"bytes=a-b", 10, WholeFile{}},
      {"bytes=1-b", 10, WholeFile{}},
      {"bytes=+1-2", 10, WholeFile{}},
      {"lines=1-2", 10, WholeFile{}},
  };
  for (const Row& row : rows) EXPECT_EQ(choose_range(row.header, row.size), row.expected) << row.header;
}

TEST(HttpMessageTest, AnyRangeStaysInsideOfTheFile) {
  std::mt19937_64 random(1);
  constexpr std::string_view kLetters = "bytes=0123456789-, ";
  for (int i = 0; i < 100'000; ++i) {
    std::string header = random() % 4 == 0 ? "" : "bytes=";
    for (std::uint64_t n = random() % 12; n > 0; --n) header += kLetters[random() % kLetters.size()];
    const std::uint64_t size = random() % 1'000;
    const RangeChoice choice = choose_range(header, size);
    if (const auto* range = std::get_if<ByteRange>(&choice)) {
      ASSERT_GT(range->bytes, 0U) << header;
      ASSERT_LE(range->offset + range->bytes, size) << header;
    }
  }
}

TEST(HttpMessageTest, TargetsAreReadInOneWayOrNotAtAll) {
  const auto good = parse_target("/cas/ab%20c?m=PUT&p=%2Fcas%2F&o=&flag");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->path, "/cas/ab c");
  EXPECT_EQ(good->query.at("m"), "PUT");
  EXPECT_EQ(good->query.at("p"), "/cas/");
  EXPECT_EQ(good->query.at("o"), "");
  EXPECT_EQ(good->query.at("flag"), "");
  EXPECT_TRUE(parse_target("/?"));
  for (const char* bad : {"", "cas", "http://x/", "*", "/%", "/%4", "/%zz", "/%00", "/%0a", "/a?x=1&x=2", "/a?=1",
                          "/a?&", "/a?x=%0d%0a"}) {
    EXPECT_FALSE(parse_target(bad)) << bad;
  }
}

TEST(HttpMessageTest, EncodedTextComesBack) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 2'000; ++i) {
    std::string text;
    for (std::uint64_t n = random() % 20; n > 0; --n) {
      const auto byte = static_cast<unsigned char>(random() % 256);
      if (byte >= 0x20 && byte != 0x7f) text.push_back(static_cast<char>(byte));
    }
    const auto back = parse_target("/?k=" + percent_encode(text));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(back->query.at("k"), text);
  }
}

TEST(HttpMessageTest, ErrorsKeepTheirCodeAndMessageAcrossTheWire) {
  for (const ErrorCode code :
       {ErrorCode::kCancelled, ErrorCode::kUnknown, ErrorCode::kInvalidArgument, ErrorCode::kDeadlineExceeded,
        ErrorCode::kNotFound, ErrorCode::kAlreadyExists, ErrorCode::kPermissionDenied, ErrorCode::kResourceExhausted,
        ErrorCode::kFailedPrecondition, ErrorCode::kAborted, ErrorCode::kOutOfRange, ErrorCode::kUnimplemented,
        ErrorCode::kInternal, ErrorCode::kUnavailable, ErrorCode::kDataLoss, ErrorCode::kUnauthenticated}) {
    const HttpResponse sent = problem(make_error(code, "what \"it\" was\n"));
    EXPECT_GE(sent.status, 400);
    const Error back = error_of_answer(sent.status, kProblemContentType, sent.body);
    EXPECT_EQ(back.code, code);
    EXPECT_EQ(back.message, "what \"it\" was\n");
  }
  EXPECT_EQ(error_of_answer(404, "text/html", "<p>").code, ErrorCode::kNotFound);
  EXPECT_EQ(error_of_answer(418, "", "").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of_answer(502, kProblemContentType, "[1").code, ErrorCode::kInternal);
  EXPECT_EQ(error_of_answer(507, kProblemContentType, "{\"code\": 3}").code, ErrorCode::kResourceExhausted);
}

TEST(HttpMessageTest, TagsMatchByTable) {
  EXPECT_TRUE(etag_matches("\"a\"", "\"a\""));
  EXPECT_TRUE(etag_matches("\"b\", W/\"a\"", "\"a\""));
  EXPECT_TRUE(etag_matches("*", "\"a\""));
  EXPECT_FALSE(etag_matches("", "\"a\""));
  EXPECT_FALSE(etag_matches("\"b\"", "\"a\""));
  EXPECT_FALSE(etag_matches("a", "\"a\""));
}

TEST(HttpMessageTest, NothingRepeatedInAHeaderAddsAnother) {
  HttpResponse response;
  response.headers = {{"ETag", "x\r\nSet-Cookie: a=b"}};
  const std::string head = response_head(response, true);
  EXPECT_EQ(head.find("\r\nSet-Cookie"), std::string::npos);
}

}  // namespace
}  // namespace kiln::net
