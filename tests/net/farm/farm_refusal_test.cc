// What is no message of this program's: foreign bytes, other versions, bodies and values that it does not know.
#include <gtest/gtest.h>

#include <random>

#include "net/kiln.pb.h"
#include "net/farm_codec.h"
#include "net/socket_types.h"
#include "tests/net/farm/filled.h"

namespace kiln::net {
namespace {

static_assert(kFarmMessageBytesMax == kSocketMessageBytesMax, "what is encoded can be sent, and what comes decoded");

farm::Envelope an_envelope() {
  farm::Envelope envelope;
  envelope.set_version_oldest(kFarmProtocolOldest);
  envelope.set_version_newest(kFarmProtocolNewest);
  envelope.mutable_request_body()->mutable_get_status();
  return envelope;
}

Error refusal(const std::string& bytes) {
  const auto message = decode_farm_message(bytes);
  EXPECT_FALSE(message);
  return message ? Error{} : message.error();
}

TEST(FarmVersionTest, APeerOfAnotherVersionIsToldBothRanges) {
  farm::Envelope envelope = an_envelope();
  envelope.set_request(77);
  envelope.set_version_oldest(kFarmProtocolNewest + 1);
  envelope.set_version_newest(kFarmProtocolNewest + 3);
  const std::string bytes = envelope.SerializeAsString();
  const Error error = refusal(bytes);
  EXPECT_EQ(exit_code(error), 7);
  EXPECT_EQ(error.message,
            "the peer speaks versions 2 to 4 of the farm's protocol and this program version 1: update the program here");
  EXPECT_EQ(decode_farm_head(bytes)->request, 77U) << "it can be answered";
}

TEST(FarmVersionTest, AnOlderPeerIsToUpdate) {
  const Error error = check_versions({0, 0}).error();
  EXPECT_EQ(exit_code(error), 7);
  EXPECT_NE(error.message.find("update the peer"), std::string::npos) << error.message;
}

TEST(FarmVersionTest, ACommonVersionIsEnough) {
  farm::Envelope envelope = an_envelope();
  envelope.set_version_newest(kFarmProtocolNewest + 9);
  EXPECT_TRUE(decode_farm_message(envelope.SerializeAsString()));
}

// What a later version made of field 4 and on is not looked at.
TEST(FarmVersionTest, TheRestOfAnotherVersionsFrameIsNotRead) {
  farm::EnvelopeHead head;
  head.set_version_oldest(9);
  head.set_version_newest(9);
  const std::string bytes = head.SerializeAsString() + std::string("\x22\x03\xff\xff\xff", 5);  // field 4: no message
  EXPECT_EQ(exit_code(refusal(bytes)), 7);
}

TEST(FarmVersionTest, AFrameWithoutVersionsIsNoFrame) {
  farm::Envelope envelope = an_envelope();
  envelope.set_version_oldest(0);
  EXPECT_EQ(refusal(envelope.SerializeAsString()).code, ErrorCode::kDataLoss);
  envelope.set_version_oldest(3);
  envelope.set_version_newest(2);
  EXPECT_EQ(refusal(envelope.SerializeAsString()).code, ErrorCode::kDataLoss);
  EXPECT_EQ(refusal("").code, ErrorCode::kDataLoss);
}

TEST(FarmVersionTest, ANewerFactIsRefusedAndNamesBothFormats) {
  farm::Fact fact;
  fact.set_format(kFactFormat + 1);
  fact.mutable_worker_drained()->set_worker("w");
  const auto decoded = decode_fact(fact.SerializeAsString());
  ASSERT_FALSE(decoded);
  EXPECT_EQ(exit_code(decoded.error()), 7);
  EXPECT_NE(decoded.error().message.find("format 2; this program reads formats up to 1"), std::string::npos)
      << decoded.error().message;
}

TEST(FarmRefusalTest, UnknownFieldsAreIgnored) {
  const std::string bytes = an_envelope().SerializeAsString();
  const std::string field_1000 = "\xc2\x3e\x03" "new";
  const auto message = decode_farm_message(bytes + field_1000);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(encode(*message), bytes);
}

TEST(FarmRefusalTest, BodiesThatAreMissingOrUnknownAreRefused) {
  farm::Envelope envelope = an_envelope();
  envelope.clear_body();
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("Envelope"), std::string::npos);
  envelope.mutable_request_body();
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("ClientRequest"), std::string::npos);
  envelope.mutable_reply();
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("ClientReply"), std::string::npos);
  envelope.mutable_from_worker();
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("FromWorker"), std::string::npos);
  envelope.mutable_to_worker();
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("ToWorker"), std::string::npos);
  auto& done = *envelope.mutable_from_worker()->mutable_done();
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("TaskResult"), std::string::npos);
  done.mutable_result()->mutable_noop();
  EXPECT_TRUE(decode_farm_message(envelope.SerializeAsString()));
  envelope.mutable_to_worker()->mutable_assign()->set_job("j");
  EXPECT_NE(refusal(envelope.SerializeAsString()).message.find("TaskSpec"), std::string::npos);
  farm::Fact fact;
  fact.set_format(kFactFormat);
  EXPECT_FALSE(decode_fact(fact.SerializeAsString()));
}

TEST(FarmRefusalTest, EnumValuesThatAreMissingOrUnknownAreRefused) {
  for (const int value : {0, 6, 99, -1}) {
    farm::Envelope envelope = an_envelope();
    auto& control = *envelope.mutable_request_body()->mutable_control_job();
    control.set_job("j");
    control.set_verb(static_cast<farm::JobVerb>(value));
    const Error error = refusal(envelope.SerializeAsString());
    EXPECT_EQ(error.code, ErrorCode::kDataLoss);
    EXPECT_NE(error.message.find("ControlJob.verb"), std::string::npos) << error.message;
  }
}

TEST(FarmRefusalTest, TooLargeAFrameIsRefusedBeforeItIsRead) {
  const std::string bytes(1025, '\0');
  const auto message = decode_farm_message(bytes, 1024);
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(message.error().message, "a farm message has 1025 bytes; at most 1024");
}

TEST(FarmRefusalTest, AnyBytesDecodeOrAreRefused) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 96, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    (void)decode_farm_message(bytes);
    (void)decode_fact(bytes);
  }
}

TEST(FarmRefusalTest, ChangedAndCutMessagesDecodeOrAreRefused) {
  std::mt19937_64 random(4);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (const FarmMessage& message : test::each_message(seed)) {
      std::string bytes = encode(message);
      for (int i = 0; i < 8; ++i) bytes[random() % bytes.size()] ^= static_cast<char>(1U << (random() % 8));
      const auto changed = decode_farm_message(bytes);
      // What is accepted can be sent on and is accepted again.
      if (changed) {
        EXPECT_TRUE(decode_farm_message(encode(*changed)));
      }
      (void)decode_farm_message(std::string_view(bytes).substr(0, random() % bytes.size()));
    }
  }
}

}  // namespace
}  // namespace kiln::net
