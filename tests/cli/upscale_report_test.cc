#include "cli/upscale/upscale_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/upscale/progress_line.h"

namespace kiln::cli {
namespace {

UpscaleReport a_report(double model_s, double wait_decode_s, double wait_encode_s) {
  UpscaleReport report;
  LaneReport lane;
  lane.segments = 2;
  lane.frames = 50;
  lane.model_s = model_s;
  lane.wait_decode_s = wait_decode_s;
  lane.wait_encode_s = wait_encode_s;
  report.lanes[LaneId{0}] = lane;
  ClipReport clip;
  clip.source = "in.mp4";
  clip.output = "out.mp4";
  clip.frames = 50;
  clip.frames_compiled = 20;
  clip.duration_s = 2.0;
  clip.frame_hashes = {"00112233445566778899aabbccddeeff"};
  report.clips.push_back(clip);
  report.wall_s = 10.0;
  return report;
}

TEST(UpscaleReportTest, NamesWhatTheOthersWaitedFor) {
  EXPECT_EQ(slow_part(a_report(8, 1, 1)).name, "model");
  EXPECT_EQ(slow_part(a_report(3, 6, 1)).name, "decode");
  EXPECT_EQ(slow_part(a_report(3, 1, 6)).name, "encode");
}

TEST(UpscaleReportTest, JsonHoldsFramesOfEachExecutorAndHashes) {
  const auto json = nlohmann::json::parse(report_json(a_report(8, 1, 1)));
  EXPECT_EQ(json["clips"][0]["frames_compiled"], 20);
  EXPECT_EQ(json["clips"][0]["frames_uncompiled"], 30);
  EXPECT_EQ(json["clips"][0]["frame_hashes"][0], "00112233445566778899aabbccddeeff");
  EXPECT_DOUBLE_EQ(json["real_time_factor"], 0.2);
  EXPECT_DOUBLE_EQ(json["frames_per_second"], 5.0);
}

TEST(UpscaleReportTest, TableSaysCompilesHitsAndSlowPart) {
  UpscaleReport report = a_report(8, 1, 1);
  report.compiles = 1;
  report.compile_s = 10.84;
  const std::string table = report_table(report);
  EXPECT_NE(table.find("20 compiled, 30 uncompiled"), std::string::npos) << table;
  EXPECT_NE(table.find("compiles 1 (10.8 s)   store hits 0   slow part: model"), std::string::npos) << table;
  EXPECT_DOUBLE_EQ(nlohmann::json::parse(report_json(report))["compile_s"], 10.84);
}

TEST(UpscaleReportTest, TableSaysWhatIsStillBeingCompiled) {
  UpscaleReport report = a_report(8, 1, 1);
  report.compiles_running = 1;
  const std::string table = report_table(report);
  EXPECT_NE(table.find("compiles 0, 1 still running   store hits 0"), std::string::npos) << table;
}

TEST(ProgressTextTest, FitsTheTerminal) {
  ProgressState state;
  state.frames_done = 12;
  state.frames_total = 50;
  state.lanes = 2;
  const std::string text = progress_text(state, 2.0, 80);
  EXPECT_NE(text.find("12/50 frames  2.0 fps  0:19 left  2 lanes"), std::string::npos) << text;
  EXPECT_EQ(progress_text(state, 2.0, 20).size(), 20U);
}

}  // namespace
}  // namespace kiln::cli
