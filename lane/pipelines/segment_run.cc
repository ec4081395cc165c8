#include "lane/pipelines/segment_run.h"

#include <fmt/core.h>

#include <algorithm>

namespace kiln::lane {

Result<ExecutorChoice> executor_choice_from_string(std::string_view name) {
  if (name == "any") return ExecutorChoice::kAny;
  if (name == "compiled") return ExecutorChoice::kCompiled;
  if (name == "uncompiled") return ExecutorChoice::kUncompiled;
  return fail(make_error(ErrorCode::kInvalidArgument, "executor '{}' is none of any, compiled, uncompiled", name));
}

void SegmentRun::fail_with(Error error, std::string_view failure_class) {
  {
    const std::lock_guard lock(mutex_);
    if (failed_.load()) return;
    error_ = std::move(error);
    failure_class_ = failure_class;
    failed_.store(true);
  }
  cancel.cancel();  // wakes the stage that waits for an ffmpeg
}

void SegmentRun::fail_with(const Error& error) {
  const bool bad_input = error.exit == ExitCode::kInputRefused || error.exit == ExitCode::kInputMissing;
  fail_with(error, bad_input ? "bad_input" : "error");
}

Error SegmentRun::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::string SegmentRun::failure_class() const {
  const std::lock_guard lock(mutex_);
  return failure_class_;
}

StageTimes& StageTimes::operator+=(const StageTimes& other) {
  decode_s += other.decode_s;
  model_s += other.model_s;
  wait_decode_s += other.wait_decode_s;
  wait_encode_s += other.wait_encode_s;
  encode_s += other.encode_s;
  card_s += other.card_s;
  decode_core_s += other.decode_core_s;
  encode_core_s += other.encode_core_s;
  return *this;
}

StageTimes shares_of(StageTimes sums, double wall_s) {
  if (sums.card_s <= 0.0) return sums;
  const double idle_s = std::max(0.0, wall_s - sums.card_s);
  const double waits_s = sums.wait_decode_s + sums.wait_encode_s;
  sums.model_s += sums.card_s;
  sums.wait_decode_s = waits_s > 0.0 ? idle_s * sums.wait_decode_s / waits_s : 0.0;
  sums.wait_encode_s = idle_s - sums.wait_decode_s;
  return sums;
}

StageTimes SegmentRun::times() const {
  StageTimes sum;
  for (const PieceResult& piece : pieces) sum += piece.times;
  return sum;
}

std::string SegmentRun::frame_hashes() const {
  std::string all;
  for (const PieceResult& piece : pieces) all += piece.frame_hashes;
  return all;
}

std::vector<RunPiece> cut_into_pieces(SegmentSpec spec, std::size_t pieces_max) {
  const std::int64_t frames = spec.range.last - spec.range.first;
  const auto most = static_cast<std::int64_t>(std::max<std::size_t>(pieces_max, 1));
  const std::int64_t count = std::clamp(frames / kPieceFramesMin, std::int64_t{1}, most);
  const auto run = std::make_shared<SegmentRun>(std::move(spec), static_cast<std::size_t>(count));
  std::vector<RunPiece> pieces;
  for (std::int64_t i = 0; i < count; ++i) {
    RunPiece piece;
    piece.run = run;
    piece.number = static_cast<std::size_t>(i);
    piece.range = run->spec.range;
    piece.range.first = run->spec.range.first + frames * i / count;
    piece.range.last = run->spec.range.first + frames * (i + 1) / count;
    piece.path = count == 1 ? run->spec.path : fmt::format("{}.piece-{}", run->spec.path, i);
    PieceResult& result = run->pieces[piece.number];
    result.first_frame = piece.range.first;
    result.frame_count = piece.range.last - piece.range.first;
    result.path = piece.path;
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace kiln::lane
