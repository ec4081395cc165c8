// The encoding threads of a pipeline.
#include <unistd.h>

#include "lane/media/segment_merge.h"
#include "lane/pipelines/ending_encoders.h"
#include "lane/pipelines/frame_convert.h"
#include "lane/pipelines/stopwatch.h"
#include "lane/pipelines/upscale_pipeline.h"

namespace kiln::lane {
namespace {

// The pieces become the segment's file, and go.
Status merge_pieces(SegmentRun& run) {
  if (run.pieces.size() == 1) return {};
  std::vector<SegmentFile> files;
  for (const PieceResult& piece : run.pieces) files.push_back({piece.path, piece.first_frame, piece.frame_count});
  KILN_TRY_ASSIGN(run.bytes_written, merge_segments(*run.spec.clip, run.spec.settings, files, run.spec.path));
  for (const SegmentFile& file : files) ::unlink(file.path.c_str());
  return {};
}

}  // namespace

// The writer is opened with the piece's first frame.
Status UpscalePipeline::write_frame(std::optional<SegmentWriter>& writer, const Rendered& item) {
  SegmentRun& run = *item.piece->run;
  StageTimes& times = item.piece->times();
  const CoreStopwatch cores(times.encode_core_s, media_core_s_);
  KILN_TRY_ASSIGN(const auto planes, item.piece->frames->planes_of(times, *item.frame));
  const Stopwatch watch(times.encode_s);
  if (!writer) {
    KILN_TRY_ASSIGN(writer, SegmentWriter::open(tools_, run.spec.settings, item.piece->path, &run.cancel,
                                                        &times.encode_core_s));
  }
  PieceResult& result = run.pieces[item.piece->number];
  append_frame_hash(planes, result.frame_hashes);
  // Behind the last frame nothing says when it was read but the encoder's end, which may be far: it is copied.
  const bool last = result.frame_hashes.size() == kFrameHashBytes * static_cast<std::size_t>(result.frame_count);
  KILN_TRY(item.piece->frames->outputs_can_wait() && !last ? writer->lend(item.pts, planes) : writer->write(item.pts, planes));
  if (!any_written_.exchange(true)) {
    const std::lock_guard lock(mutex_);
    first_frame_at_ = std::chrono::steady_clock::now();
  }
  return {};
}

void UpscalePipeline::write_all(Channel& channel) {
  EndingEncoders ending(encoders_ending_);  // they die with this thread, and it waits for them
  Piece piece;                              // of the writer, which counts in it to its end
  std::optional<Rendered> lent;             // outlives the writer
  std::optional<SegmentWriter> writer;
  while (auto item = channel.rendered.pop()) {
    decoded_.poke();  // there is room again
    SegmentRun& run = *item->piece->run;
    if (item->frame == nullptr) {
      if (writer && !run.failed()) {
        lent.reset();  // the last frame was not
        ending.add([this, ended = item->piece, encoder = std::move(*writer)]() mutable { finish_piece(ended, &encoder); });
      } else {
        finish_piece(item->piece, writer ? &*writer : nullptr);
      }
      writer.reset();
      lent.reset();
      continue;
    }
    if (run.failed()) continue;
    if (!writer) piece = item->piece;
    if (auto status = write_frame(writer, *item); !status) run.fail_with(status.error());
    if (item->piece->frames->outputs_can_wait()) lent = std::move(*item);  // and lets the one before go
  }
}

void UpscalePipeline::finish_piece(const Piece& piece, SegmentWriter* writer) {
  SegmentRun& run = *piece->run;
  if (!run.failed() && writer == nullptr) {
    run.fail_with(make_error(ErrorCode::kInternal, "a segment without frames"), "error");
  }
  if (!run.failed()) {
    const Stopwatch watch(piece->times().encode_s);
    const CoreStopwatch cores(piece->times().encode_core_s, media_core_s_);
    const auto summary = writer->finish();
    if (!summary) run.fail_with(summary.error());
    if (summary && run.pieces.size() == 1) run.bytes_written = summary->file_bytes;
  }
  if (run.unwritten.fetch_sub(1) > 1) return;
  if (!run.failed()) {
    const Stopwatch watch(run.pieces[0].times.encode_s);
    const CoreStopwatch cores(run.pieces[0].times.encode_core_s, media_core_s_);
    if (auto merged = merge_pieces(run); !merged) run.fail_with(merged.error());
  }
  forget(run);
  callbacks_.on_end(run);
}

}  // namespace kiln::lane
