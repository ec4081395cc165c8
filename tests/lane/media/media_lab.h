// A folder of its own for a test, clips that ffmpeg makes there, and runs from source to output.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "lane/media/clip_info.h"
#include "lane/media/encoder_settings.h"
#include "lane/media/frame_reader.h"
#include "lane/media/media_tools.h"
#include "lane/media/segment_join.h"
#include "lane/media/segment_writer.h"

namespace kiln::lane {

// The ffmpeg in PATH.
[[nodiscard]] const MediaTools& system_tools();
// The static build of the set-up; nullptr where there is none.
[[nodiscard]] const MediaTools* static_tools();

class MediaLab : public ::testing::Test {
 protected:
  MediaLab();
  ~MediaLab() override;

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  // Runs the system's ffmpeg in the folder; a failure fails the test.
  void ffmpeg(const std::vector<std::string>& arguments) const;
  // A moving picture of `frames` frames, every one different; `more` are output options.
  std::string make_clip(const std::string& name, int frames, const std::vector<std::string>& more,
                        const std::string& size = "64x48", const std::string& rate = "30000/1001") const;
  // What ffprobe prints for -show_entries ENTRIES of that file, one line for each.
  [[nodiscard]] std::string ffprobe(const std::string& file, const std::string& entries,
                                    const std::string& streams = "") const;

  std::string folder_;
};

[[nodiscard]] ClipInfo probe_ok(const MediaTools& tools, const ClipSource& source);
[[nodiscard]] std::vector<RawFrame> read_frames(const MediaTools& tools, const ClipInfo& clip,
                                                FrameRange range);
[[nodiscard]] std::vector<RawFrame> read_all(const MediaTools& tools, const ClipInfo& clip);

// Kills (-9) every child of this process that runs a program of that name; false where there is none.
[[nodiscard]] bool kill_children_named(const std::string& name);

struct TripOptions {
  Codec codec = Codec::kFfv1;
  Container container = Container::kMatroska;
  int segment_frames = 7;
};

// Decodes the clip and encodes it again, segment by segment, unchanged, and joins.
Result<JoinReport> round_trip(const MediaTools& tools, const ClipInfo& clip, const std::string& output,
                              const TripOptions& options);

// Same frame count, every time within one tick of the output's, times in seconds against the source's.
void expect_same_times(const ClipInfo& source, const ClipInfo& output);
void expect_same_frames(const std::vector<RawFrame>& a, const std::vector<RawFrame>& b);

}  // namespace kiln::lane
