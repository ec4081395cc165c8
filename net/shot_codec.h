// A shot as it goes into messages: the farm's and a lane's have the same fields.
#pragma once

#include "net/shot.h"

namespace kiln::net {

template <typename Wire>
void put_shot(const Shot& in, Wire& out) {
  out.set_prompt(in.prompt);
  out.set_negative_prompt(in.negative_prompt);
  out.set_width(in.width);
  out.set_height(in.height);
  out.set_frames(in.frames);
  out.set_steps(in.steps);
  out.set_guidance(in.guidance);
  out.set_low_noise_guidance(in.low_noise_guidance);
  out.set_shift(in.shift);
  out.set_solver(in.solver);
  out.set_seed(in.seed);
}

}  // namespace kiln::net
