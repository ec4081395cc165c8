// Clips that are generated from words.
#include "net/farm_codec_wire.h"
#include "net/kiln.pb.h"
#include "net/shot_codec.h"

namespace kiln::net {
namespace {

// A guidance or a shift.
double strength(double value, std::string_view field, WireReader& read) {
  if (value <= kGuidanceMax) return read.number(value, field);
  read.refuse(field, "is too large");
  return 0.0;
}

}  // namespace

void put(const Shot& in, farm::Shot& out) { put_shot(in, out); }

Shot get(const farm::Shot& in, WireReader& read) {
  Shot out;
  out.prompt = read.document(in.prompt(), kPromptBytesMax, "Shot.prompt");
  out.negative_prompt = read.document(in.negative_prompt(), kPromptBytesMax, "Shot.negative_prompt");
  out.width = read.side32(in.width(), "Shot.width");
  out.height = read.side32(in.height(), "Shot.height");
  out.frames = read.frames(in.frames(), "Shot.frames");
  if (out.frames == 0) read.refuse("Shot.frames", "is 0");
  out.steps = read.integer(in.steps(), 0, kStepsMax, "Shot.steps");
  out.guidance = strength(in.guidance(), "Shot.guidance", read);
  out.low_noise_guidance = strength(in.low_noise_guidance(), "Shot.low_noise_guidance", read);
  out.shift = strength(in.shift(), "Shot.shift", read);
  out.solver = read.word(in.solver(), "Shot.solver");
  if (!out.solver.empty() && out.solver != "unipc" && out.solver != "euler") read.refuse("Shot.solver", "is none of unipc, euler");
  out.seed = in.seed();
  return out;
}

void put(const StageProgress& in, farm::StageProgress& out) {
  out.set_stage(in.stage);
  out.set_done(in.done);
  out.set_total(in.total);
  out.set_each_s(finite(in.each_s));
}

StageProgress get(const farm::StageProgress& in, WireReader& read) {
  StageProgress out;
  out.stage = read.word(in.stage(), "StageProgress.stage");
  out.done = read.frames(in.done(), "StageProgress.done");
  out.total = read.frames(in.total(), "StageProgress.total");
  out.each_s = read.number(in.each_s(), "StageProgress.each_s");
  return out;
}

void put(const ShotStanding& in, farm::ShotStanding& out) {
  out.set_task(in.task);
  out.set_clip(in.clip);
  out.set_worker(in.worker);
  out.set_lane(in.lane.value);
  put(in.stage, *out.mutable_stage());
}

ShotStanding get(const farm::ShotStanding& in, WireReader& read) {
  ShotStanding out;
  out.task = in.task();
  out.clip = in.clip();
  out.worker = read.worker(in.worker(), "ShotStanding.worker");
  out.lane.value = in.lane();
  out.stage = get(in.stage(), read);
  return out;
}

}  // namespace kiln::net
