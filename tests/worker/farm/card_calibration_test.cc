#include "worker/card_calibration.h"
#include "worker/card_encoders.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace kiln::worker {
namespace {

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr const char* kLine =
    R"({"float32_tflops":51.5,"tf32_tflops":380,"float16_tflops":700,"bfloat16_tflops":710,"fp8_tflops":0,)"
    R"("memory_bytes_per_s":2.9e12,"to_device_bytes_per_s":5.3e10,"to_host_bytes_per_s":5.2e10,)"
    R"("free_bytes":83886080000,"reserved_bytes":20971520,"seconds":0.7})";

class CardCalibrationTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "card-calibration-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.lane_program = folder_ + "/lane";
    options_.folder = folder_ + "/cards";
    options_.driver = "580.95.05";
    options_.torch = "2.11.0 abc";
    Card card;
    card.uuid = "GPU-1";
    card.free_bytes = 83'886'080'000 + 620 * kMiB;
    cards_.push_back(card);
  }
  // In place of kiln-lane: says `line` and ends with `code`; each run leaves a mark.
  void program(const std::string& line, int code) const {
    std::ofstream(options_.lane_program) << "#!/bin/sh\necho run >> " << folder_ << "/runs\n[ \"$1 $2\" = '--calibrate cuda:0' ] || exit 9\n"
                                         << "[ \"$CUDA_VISIBLE_DEVICES\" = GPU-1 ] || exit 8\ncat <<'END'\n" << line << "\nEND\nexit "
                                         << code << "\n";
    ::chmod(options_.lane_program.c_str(), 0700);
  }
  [[nodiscard]] int runs() const {
    std::ifstream file(folder_ + "/runs");
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }
  std::vector<std::string> calibrate() {
    std::vector<std::string> said;
    calibrate_cards(options_, cards_, said);
    return said;
  }

  std::string folder_;
  CalibrationOptions options_;
  std::vector<Card> cards_;
};

TEST_F(CardCalibrationTest, IsMeasuredOnceForACardADriverAndATorch) {
  program(kLine, 0);
  EXPECT_TRUE(calibrate().empty());
  EXPECT_EQ(cards_[0].speed.float16_tflops, 700.0);
  EXPECT_EQ(cards_[0].speed.memory_bytes_per_s, 2.9e12);
  EXPECT_EQ(cards_[0].context_bytes, 600 * kMiB);
  const net::CardSpeed measured = cards_[0].speed;
  cards_[0].speed = {};
  cards_[0].context_bytes = 0;
  EXPECT_TRUE(calibrate().empty());
  EXPECT_EQ(cards_[0].speed, measured);
  EXPECT_EQ(cards_[0].context_bytes, 600 * kMiB);
  EXPECT_EQ(runs(), 1);
  options_.driver = "590.1";
  (void)calibrate();
  options_.torch = "2.12.0 abc";
  (void)calibrate();
  EXPECT_EQ(runs(), 3);
}

TEST_F(CardCalibrationTest, WhatIsKeptAndDamagedIsMeasuredAgain) {
  program(kLine, 0);
  (void)calibrate();
  std::ofstream(options_.folder + "/GPU-1.json") << R"({"format":1,"driver":"580.95.05","torch":"2.11.0 abc"})";
  EXPECT_TRUE(calibrate().empty());
  EXPECT_EQ(runs(), 2);
  EXPECT_EQ(cards_[0].speed.tf32_tflops, 380.0);
}

TEST_F(CardCalibrationTest, ACardThatCannotBeMeasuredIsSaidAndUsed) {
  program("", 3);
  const auto said = calibrate();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("card 0 was not measured: exit code 3"), std::string::npos) << said[0];
  EXPECT_EQ(cards_[0].speed, net::CardSpeed());
  program("{\"float32_tflops\":1}", 0);
  EXPECT_EQ(calibrate().size(), 1U);
  EXPECT_FALSE(std::filesystem::exists(options_.folder + "/GPU-1.json"));
}

TEST_F(CardCalibrationTest, AContextThatIsNoneIsNotKnown) {
  for (const std::uint64_t before : {std::uint64_t{0}, 83'886'080'000 + 30 * kMiB, 83'886'080'000 + 1'600 * kMiB}) {
    const auto found = parse_calibration(kLine, before);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->context_bytes, 0U) << before;
  }
  EXPECT_FALSE(parse_calibration("no json", 1));
  EXPECT_FALSE(parse_calibration(R"({"float32_tflops":-1})", 1));
}

TEST_F(CardCalibrationTest, EncodersAreWhatTheLanesProgramSays) {
  std::ofstream(options_.lane_program) << "#!/bin/sh\n[ \"$1|$2|$3|$4\" = '--try-encoders|/usr/bin/ffmpeg|" << folder_
                                       << "/cards/GPU-1.encoders|GPU-1 driver 580.95.05' ] || exit 9\n"
                                       << "echo 'h264_nvenc yuv420p'\necho 'hevc_nvenc p010le'\n";
  ::chmod(options_.lane_program.c_str(), 0700);
  std::vector<std::string> said;
  find_encoders({options_.lane_program, "", "/usr/bin/ffmpeg", options_.folder, options_.driver}, cards_, said);
  EXPECT_TRUE(said.empty()) << said[0];
  EXPECT_EQ(cards_[0].encoders, (std::vector<std::string>{"h264_nvenc yuv420p", "hevc_nvenc p010le"}));
  EXPECT_TRUE(std::filesystem::exists(options_.folder));  // the program writes there
}

TEST_F(CardCalibrationTest, EncodersThatAreNoneAreNotBelieved) {
  EXPECT_TRUE(parse_encoders("").value().empty());
  EXPECT_FALSE(parse_encoders("h264_nvenc"));
  EXPECT_FALSE(parse_encoders("h264_nvenc yuv420p; rm"));
  EXPECT_FALSE(parse_encoders(std::string(200, 'a') + " b"));
  std::string many;
  for (int i = 0; i < 40; ++i) many += "h264_nvenc yuv420p\n";
  EXPECT_FALSE(parse_encoders(many));
  program("", 3);
  std::vector<std::string> said;
  find_encoders({options_.lane_program, "", "", options_.folder, options_.driver}, cards_, said);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("its encoders are not known: exit code 9"), std::string::npos) << said[0];
}

}  // namespace
}  // namespace kiln::worker
