// The sample table of a segment file: any bytes are read or refused, and what is read lies inside the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "lane/media/mov_track.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto track = kiln::lane::parse_moov(std::as_bytes(std::span(data, size)), size);
  if (!track) return 0;
  for (const auto& sample : track->samples) {
    if (sample.offset + sample.size > size) std::abort();
  }
  return 0;
}
