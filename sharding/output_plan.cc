#include "sharding/output_plan.h"

#include <algorithm>
#include <numeric>

namespace kiln::sharding {
namespace {

constexpr std::size_t kScaleDigitsMax = 4;  // on each side of the point
constexpr int kModelScaleMax = 64;

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::int64_t number(std::string_view digits) {
  return std::accumulate(digits.begin(), digits.end(), std::int64_t{0},
                         [](std::int64_t sum, char c) { return sum * 10 + (c - '0'); });
}

int scaled(int side, ScaleRatio scale) {
  const std::int64_t twice =
      2 * side * scale.numerator + scale.denominator;  // + 1/2, over 2 * denominator
  return static_cast<int>(std::max<std::int64_t>(twice / (2 * scale.denominator), 1));
}

Status check(int source_width, int source_height, int model_scale, ScaleRatio scale) {
  if (source_width <= 0 || source_height <= 0 || source_width > kFrameSideMax ||
      source_height > kFrameSideMax) {
    return fail(input_refused("frames of {}x{} are not handled: sides must be 1 to {}",
                              source_width, source_height, kFrameSideMax));
  }
  if (model_scale < 1 || model_scale > kModelScaleMax) {
    return fail(make_error(ErrorCode::kInvalidArgument,
                           "a model scale of {} is not handled: 1 to {}", model_scale,
                           kModelScaleMax));
  }
  if (scale.numerator <= 0 || scale.denominator <= 0) {
    return fail(
        make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage, "--scale must be above 0"));
  }
  if (scale.numerator > model_scale * scale.denominator) {
    return fail(make_error(
        ErrorCode::kInvalidArgument, ExitCode::kUsage,
        "--scale {} is more than the model's {}: use {} or less, or a model with a larger scale",
        to_string(scale), model_scale, model_scale));
  }
  return {};
}

}  // namespace

Result<ScaleRatio> parse_scale(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view places =
      point == std::string_view::npos ? std::string_view{} : text.substr(point + 1);
  const bool well_formed = !(whole.empty() && places.empty()) && whole.size() <= kScaleDigitsMax &&
                           places.size() <= kScaleDigitsMax && all_digits(whole) &&
                           all_digits(places);
  ScaleRatio scale;
  if (well_formed) {
    for (std::size_t i = 0; i < places.size(); ++i) scale.denominator *= 10;
    scale.numerator = number(whole) * scale.denominator + number(places);
  }
  if (!well_formed || scale.numerator == 0) {
    return fail(make_error(ErrorCode::kInvalidArgument, ExitCode::kUsage,
                           "--scale \"{}\" is no scale: write a number above 0 such as 2 or 1.5",
                           text));
  }
  const std::int64_t divisor = std::gcd(scale.numerator, scale.denominator);
  return ScaleRatio{scale.numerator / divisor, scale.denominator / divisor};
}

std::string to_string(ScaleRatio scale) {
  std::string text = fmt::format("{}", scale.numerator / scale.denominator);
  std::int64_t rest = scale.numerator % scale.denominator;
  if (rest != 0) text += '.';
  for (std::size_t place = 0; rest != 0 && place < kScaleDigitsMax; ++place) {
    rest *= 10;
    text += static_cast<char>('0' + rest / scale.denominator);
    rest %= scale.denominator;
  }
  return text;
}

Result<OutputSize> plan_output_size(int source_width, int source_height, int model_scale,
                                    ScaleRatio scale) {
  KILN_TRY(check(source_width, source_height, model_scale, scale));
  OutputSize size;
  size.model_width = source_width * model_scale;
  size.model_height = source_height * model_scale;
  size.width = scaled(source_width, scale);
  size.height = scaled(source_height, scale);
  size.reason =
      size.is_resampled()
          ? fmt::format("{}x{} by {}: the model makes {}x{}, Lanczos-3 brings it to {}x{}",
                        source_width, source_height, to_string(scale), size.model_width,
                        size.model_height, size.width, size.height)
          : fmt::format("{}x{} by the model's {}", source_width, source_height, model_scale);
  return size;
}

LaneThreads plan_lane_threads(int core_count, int lane_count, int requested) {
  if (requested > 0) {
    const int threads = std::min(requested, kThreadsPerLaneMax);
    return {threads, fmt::format("{} threads a lane, as asked", threads)};
  }
  const int cores = std::max(core_count, 1);
  const int lanes = std::max(lane_count, 1);
  const int threads = std::clamp(cores / lanes, 1, kThreadsPerLaneMax);
  return {threads, fmt::format("{} cores for {} lanes: {} a lane", cores, lanes, threads)};
}

std::uint64_t plan_activation_bytes(std::uint64_t memory_bytes, int core_count,
                                    int requested_mib) {
  if (requested_mib > 0) return static_cast<std::uint64_t>(requested_mib) << 20U;
  return memory_bytes / 2 / static_cast<std::uint64_t>(std::max(core_count, 1));
}

}  // namespace kiln::sharding
