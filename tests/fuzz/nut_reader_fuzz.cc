// What ffmpeg's pipe may carry: any bytes are read or refused.
#include <cstddef>
#include <cstdint>
#include <span>

#include "lane/media/nut_demuxer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kiln::lane::MemorySource source(std::as_bytes(std::span(data, size)));
  kiln::lane::NutDemuxer demuxer(source, kiln::lane::NutLimits{1U << 20U});
  if (!demuxer.read_headers()) return 0;
  kiln::lane::NutFrame frame;
  for (int frames = 0; frames < 1000; ++frames) {
    const auto more = demuxer.next(frame);
    if (!more || !*more) break;
  }
  return 0;
}
