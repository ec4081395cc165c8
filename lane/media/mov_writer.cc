#include <functional>
#include <limits>
#include <string_view>

#include "lane/media/mov_track.h"

namespace kiln::lane {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::int64_t kMaxDelta = std::numeric_limits<std::int32_t>::max();

void put(Bytes& out, std::uint64_t value, int byte_count) {
  for (int i = byte_count - 1; i >= 0; --i) {
    out.push_back(static_cast<std::byte>((value >> static_cast<unsigned>(8 * i)) & 0xFFU));
  }
}

void put_zeros(Bytes& out, std::size_t count) { out.resize(out.size() + count); }

void put_text(Bytes& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<std::byte>(c));
}

// A box around what `fill` writes.
void put_box(Bytes& out, std::string_view type, const std::function<void(Bytes&)>& fill) {
  const std::size_t begin = out.size();
  put(out, 0, 4);
  put_text(out, type);
  fill(out);
  const std::uint64_t size = out.size() - begin;
  for (std::size_t i = 0; i < 4; ++i) {
    out[begin + i] = static_cast<std::byte>((size >> (8 * (3 - i))) & 0xFFU);
  }
}

constexpr DisplayMatrix kUpright{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};

void put_matrix(Bytes& out, const DisplayMatrix& matrix) {
  for (const std::int32_t value : matrix) put(out, static_cast<std::uint32_t>(value), 4);
}

// Version 1 of the three headers: 64-bit durations.
void put_times(Bytes& out, std::uint32_t timescale, std::uint64_t duration) {
  put(out, 0, 8);  // created
  put(out, 0, 8);  // modified
  put(out, timescale, 4);
  put(out, duration, 8);
}

void put_mvhd(Bytes& out, const MovTrack& track, std::uint64_t duration) {
  put_box(out, "mvhd", [&](Bytes& o) {
    put(o, 1U << 24U, 4);
    put_times(o, track.timescale, duration);
    put(o, 0x10000, 4);  // rate
    put(o, 0x0100, 2);   // volume
    put_zeros(o, 10);
    put_matrix(o, kUpright);
    put_zeros(o, 24);
    put(o, 2, 4);  // next track
  });
}

void put_tkhd(Bytes& out, const MovPicture& picture, std::uint64_t duration) {
  put_box(out, "tkhd", [&](Bytes& o) {
    put(o, (1U << 24U) | 3U, 4);  // enabled, in the movie
    put(o, 0, 8);
    put(o, 0, 8);
    put(o, 1, 4);  // track
    put(o, 0, 4);
    put(o, duration, 8);
    put_zeros(o, 16);
    put_matrix(o, picture.display_matrix.value_or(kUpright));
    put(o, static_cast<std::uint64_t>(picture.width) << 16U, 4);
    put(o, static_cast<std::uint64_t>(picture.height) << 16U, 4);
  });
}

void put_mdhd_hdlr(Bytes& out, const MovTrack& track, std::uint64_t duration) {
  put_box(out, "mdhd", [&](Bytes& o) {
    put(o, 1U << 24U, 4);
    put_times(o, track.timescale, duration);
    put(o, 0x55C4, 2);  // language: undetermined
    put(o, 0, 2);
  });
  put_box(out, "hdlr", [&](Bytes& o) {
    put(o, 0, 8);
    put_text(o, "vide");
    put_zeros(o, 12);
    put(o, 0, 1);
  });
}

void put_references(Bytes& out) {
  put_box(out, "vmhd", [](Bytes& o) { put(o, 1, 4), put(o, 0, 8); });
  put_box(out, "dinf", [](Bytes& o) {
    put_box(o, "dref", [](Bytes& d) {
      put(d, 0, 4);
      put(d, 1, 4);
      put_box(d, "url ", [](Bytes& u) { put(u, 1, 4); });  // in this file
    });
  });
}

// Rows (how many samples, value), equal neighbours in one row.
void put_runs(Bytes& out, std::string_view type, const std::vector<std::int64_t>& values) {
  put_box(out, type, [&](Bytes& o) {
    put(o, 0, 4);
    const std::size_t count_at = o.size();
    put(o, 0, 4);
    std::uint32_t rows = 0;
    for (std::size_t i = 0; i < values.size();) {
      std::size_t end = i + 1;
      while (end < values.size() && values[end] == values[i]) ++end;
      put(o, end - i, 4);
      put(o, static_cast<std::uint64_t>(values[i]), 4);
      ++rows;
      i = end;
    }
    for (std::size_t i = 0; i < 4; ++i) {
      o[count_at + i] = static_cast<std::byte>((rows >> (8 * (3 - i))) & 0xFFU);
    }
  });
}

void put_sizes_and_places(Bytes& out, const MovTrack& track, std::uint64_t first_byte) {
  put_box(out, "stsz", [&](Bytes& o) {
    put(o, 0, 8);
    put(o, track.samples.size(), 4);
    for (const auto& sample : track.samples) put(o, sample.size, 4);
  });
  put_box(out, "stss", [&](Bytes& o) {
    std::uint64_t count = 0;
    for (const auto& sample : track.samples) count += sample.sync ? 1 : 0;
    put(o, 0, 4);
    put(o, count, 4);
    for (std::size_t i = 0; i < track.samples.size(); ++i) {
      if (track.samples[i].sync) put(o, i + 1, 4);
    }
  });
  put_box(out, "stsc", [&](Bytes& o) {  // one sample in each chunk
    put(o, 0, 4);
    put(o, 1, 4);
    put(o, 1, 4);
    put(o, 1, 4);
    put(o, 1, 4);
  });
  put_box(out, "co64", [&](Bytes& o) {
    put(o, 0, 4);
    put(o, track.samples.size(), 4);
    std::uint64_t at = first_byte;
    for (const auto& sample : track.samples) {
      put(o, at, 8);
      at += sample.size;
    }
  });
}

struct Times {
  std::vector<std::int64_t> deltas;
  std::vector<std::int64_t> offsets;
  std::uint64_t duration = 0;
};

Result<Times> times_of(const MovTrack& track, std::int64_t last_duration) {
  Times times;
  const auto& samples = track.samples;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::int64_t delta = i + 1 < samples.size() ? samples[i + 1].dts - samples[i].dts : last_duration;
    const std::int64_t offset = samples[i].pts - samples[i].dts;
    const bool last = i + 1 == samples.size();
    if (delta < (last ? 0 : 1) || delta > kMaxDelta || offset < 0 || offset > kMaxDelta) {
      return fail(make_error(ErrorCode::kOutOfRange,
                             "frame {} of the output is {} ticks of 1/{} s long, which MP4 cannot hold", i,
                             delta, track.timescale));
    }
    times.deltas.push_back(delta);
    times.offsets.push_back(offset);
    times.duration += static_cast<std::uint64_t>(delta);
  }
  return times;
}

}  // namespace

Result<Bytes> mov_head(const MovTrack& track, const MovPicture& picture, std::int64_t last_duration) {
  KILN_TRY_ASSIGN(const Times times, times_of(track, last_duration));
  std::uint64_t media_bytes = 0;
  for (const auto& sample : track.samples) media_bytes += sample.size;
  const auto head = [&](std::uint64_t first_byte) {
    Bytes out;
    put_box(out, "ftyp", [](Bytes& o) { put_text(o, "isom"), put(o, 512, 4), put_text(o, "isomiso2mp41"); });
    put_box(out, "moov", [&](Bytes& moov) {
      put_mvhd(moov, track, times.duration);
      put_box(moov, "trak", [&](Bytes& trak) {
        put_tkhd(trak, picture, times.duration);
        put_box(trak, "mdia", [&](Bytes& mdia) {
          put_mdhd_hdlr(mdia, track, times.duration);
          put_box(mdia, "minf", [&](Bytes& minf) {
            put_references(minf);
            put_box(minf, "stbl", [&](Bytes& stbl) {
              stbl.insert(stbl.end(), track.sample_description.begin(), track.sample_description.end());
              put_runs(stbl, "stts", times.deltas);
              put_runs(stbl, "ctts", times.offsets);
              put_sizes_and_places(stbl, track, first_byte);
            });
          });
        });
      });
    });
    put(out, 1, 4);  // the size follows in 64 bits
    put_text(out, "mdat");
    put(out, media_bytes + 16, 8);
    return out;
  };
  // Places depend on the head's length, and the length on nothing in it.
  return head(head(0).size());
}

}  // namespace kiln::lane
