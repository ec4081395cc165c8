// Interleaved R G B <-> three rows, four pixels at a time: compilers do not see a shuffle in a
// stride of three.
#pragma once

#include <cstddef>

namespace kiln::lane {

void interleave(const float* red, const float* green, const float* blue, std::size_t count,
                float* rgb);
void deinterleave(const float* rgb, std::size_t count, float* red, float* green, float* blue);

}  // namespace kiln::lane
