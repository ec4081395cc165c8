// What is kept of a job so that the same command, repeated, goes on: a plan and one record for each
// finished segment. A folder of its own below the state folder; its README says what is in the files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/result.h"

namespace kiln::cli {

inline constexpr int kJobFormatVersion = 1;

// What was fixed when the clip was planned. Frames are bit-equal only while all of this holds.
struct JobPlan {
  std::string identity;  // SHA-256 over what was asked for: source, package, output settings
  std::int64_t frames = 0;
  std::int64_t segment_frames = 0;
  int tile_height = 0;
  int tile_width = 0;
  int threads_per_lane = 0;
  std::string artifact_key;  // hex; empty: uncompiled
  int encoder_threads = 0;   // encoders may write other bits with other counts
  std::string media_tools;   // identity of the ffmpeg build
  bool operator==(const JobPlan&) const = default;
};

struct SegmentRecord {
  std::int64_t segment = 0;
  std::int64_t frames = 0;
  std::int64_t frames_compiled = 0;
  std::uint32_t lane = 0;
  std::uint32_t attempt = 0;
  double decode_s = 0.0;
  double model_s = 0.0;
  double encode_s = 0.0;
  double wall_s = 0.0;
  double wait_decode_s = 0.0;
  double wait_encode_s = 0.0;
  std::uint64_t file_bytes = 0;
  std::string file_sha256;
  std::string settings_digest;
  std::string frame_hashes;  // hex, 32 digits a frame
};

class JobFolder {
 public:
  // Opens or makes `<state>/jobs/<first digits of the identity>`. Borrowed `files` outlive it.
  [[nodiscard]] static Result<JobFolder> open(FileSystem& files, const std::string& state, const std::string& identity);

  // The plan of an earlier run, if there is one that can be read.
  [[nodiscard]] Result<bool> load_plan(JobPlan& plan) const;
  // Durable when it returns. Starting over: forgets all segments.
  [[nodiscard]] Status begin(const JobPlan& plan) const;
  // Records of finished segments whose files are as they were written; others are dropped.
  [[nodiscard]] Result<std::vector<SegmentRecord>> load_segments() const;

  [[nodiscard]] std::string part_path(std::int64_t segment, std::uint32_t attempt) const;  // where a lane writes
  [[nodiscard]] std::string segment_path(std::int64_t segment) const;
  // Makes the lane's file and then its record durable; fills in size and hash.
  [[nodiscard]] Status finish_segment(SegmentRecord& record, const std::string& part) const;
  // Durable when it returns; plan and segments stay, since the output is not in its place yet.
  [[nodiscard]] Status record_outcome(const std::string& outcome) const;
  // The output is in its place: only the outcome stays, until the whole command is done.
  [[nodiscard]] Status drop_segments() const;
  // What record_outcome() was given by an earlier run; empty: nothing.
  [[nodiscard]] std::string load_outcome() const;
  // The command is done: nothing of the job is needed any more.
  void remove() const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  JobFolder(FileSystem& files, std::string path) : files_(&files), path_(std::move(path)) {}
  [[nodiscard]] Status remove_all_but(std::string_view kept) const;
  [[nodiscard]] Status write_durably(const std::string& name, const std::string& text) const;

  FileSystem* files_;
  std::string path_;
};

}  // namespace kiln::cli
