#include "lane/media/join_cover.h"

#include <fmt/format.h>

#include <chrono>
#include <span>

#include "base/process.h"
#include "base/sealed_file.h"
#include "lane/media/ffmpeg_child.h"
#include "lane/media/source_input.h"

namespace kiln::lane {
namespace {

constexpr std::chrono::minutes kCoverDeadline{5};
constexpr std::uint64_t kCoverBytesMax = 64ULL << 20U;
constexpr int kFirstDescriptor = 10;  // in the child

// The picture's file, byte for byte: what a packet of such a track is.
Result<UniqueFd> take_out(const MediaTools& tools, const ClipInfo& clip, int index) {
  SpawnOptions options;
  options.argv = {tools.ffmpeg_path, "-nostdin", "-hide_banner", "-v", "error"};
  const auto input = input_arguments(clip.source);
  options.argv.insert(options.argv.end(), input.begin(), input.end());
  options.argv.insert(options.argv.end(), {"-map", fmt::format("0:{}", index), "-c", "copy", "-frames:v", "1", "-f",
                                           "data", "pipe:1"});
  options.set_env = {{"LC_ALL", "C"}};
  KILN_TRY_ASSIGN(const CommandOutput picture, run_command(std::move(options), kCoverDeadline, kCoverBytesMax));
  if (!picture.status.ok()) {
    return fail(ffmpeg_error(picture.status, picture.err, "reading the picture", ExitCode::kFailed));
  }
  if (picture.out.empty()) return fail(make_error(ErrorCode::kDataLoss, "it is empty"));
  return make_sealed("cover", std::as_bytes(std::span(picture.out)));
}

}  // namespace

AttachedCovers attach_covers(const MediaTools& tools, const ClipInfo& clip, const std::vector<CoverPlan>& covers) {
  AttachedCovers out;
  for (const CoverPlan& cover : covers) {
    auto picture = take_out(tools, clip, cover.source_index);
    if (!picture) {
      out.warnings.push_back(fmt::format("{}: cover picture track {} ({}) is left out: {}", clip.source.path,
                                         cover.source_index, cover.file_name,
                                         without_location(picture.error().message, clip.source)));
      continue;
    }
    const int number = static_cast<int>(out.pictures.size());
    const std::string tags = fmt::format("s:{}", cover.first_output_index + number);
    out.arguments.insert(out.arguments.end(),
                         {"-attach", fmt::format("file:/proc/self/fd/{}", kFirstDescriptor + number),
                          "-map_metadata:" + tags, fmt::format("1:s:{}", cover.source_index), "-metadata:" + tags,
                          "filename=" + cover.file_name, "-metadata:" + tags, "mimetype=" + cover.mime_type});
    out.inherit.emplace_back(picture->get(), kFirstDescriptor + number);
    out.pictures.push_back(std::move(*picture));
  }
  return out;
}

}  // namespace kiln::lane
