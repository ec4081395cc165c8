#include "lane/segment_report.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "lane/gpu/card.h"
#include "sharding/graph/exported_graph.h"

namespace kiln::lane {
namespace {

constexpr std::uint64_t kStatBytesMax = 4096;
constexpr std::size_t kStartField = 19;  // of those behind the program's name: its start, in ticks since boot (proc(5))

double process_age_s() {
  const auto text = read_file("/proc/self/stat", kStatBytesMax);
  timespec now{};
  if (!text || ::clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0.0;
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text->size()) return 0.0;
  const auto fields = split(std::string_view(*text).substr(name_end + 2), ' ');
  if (fields.size() <= kStartField) return 0.0;
  const double start_s = std::strtod(std::string(fields[kStartField]).c_str(), nullptr) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9 - start_s;
}

std::uint64_t element_bytes(const std::string& dtype) {
  const auto type = sharding::element_type_from_string(dtype);
  return type ? static_cast<std::uint64_t>(sharding::element_bytes(*type)) : sizeof(float);
}

std::uint64_t bytes_of(const TensorSpec& tensor) {
  std::uint64_t bytes = element_bytes(tensor.dtype);
  for (const std::int64_t size : tensor.sizes) bytes *= static_cast<std::uint64_t>(size);
  return bytes;
}

}  // namespace

double seconds_since_start(std::chrono::steady_clock::time_point at) {
  const std::chrono::duration<double> since = std::chrono::steady_clock::now() - at;
  return std::max(0.0, process_age_s() - since.count());
}

Result<sharding::CardEstimate> estimate_of(const SegmentRun& run, const Network& network, std::uint64_t context_bytes) {
  sharding::CardHoldings holdings = *run.holdings;
  KILN_TRY_ASSIGN(const auto inputs, network.input_specs(run.spec.tile));
  for (std::size_t i = 1; i < inputs.size(); ++i) holdings.weights_bytes.push_back(bytes_of(inputs[i]));
  sharding::CardEstimate largest;
  const auto take = [&](Executor executor) -> Status {
    KILN_TRY_ASSIGN(const auto steps, network.memory_steps(executor, run.spec.tile));
    const auto estimate = sharding::estimate_card(context_bytes, holdings, steps);
    if (estimate.total() > largest.total()) largest = estimate;
    return {};
  };
  if (run.frames_compiled.load() > 0) KILN_TRY(take(Executor::kCompiled));
  if (run.frames_compiled.load() < run.frames_done.load()) KILN_TRY(take(Executor::kUncompiled));
  return largest;
}

net::CardMemory SegmentReports::card_memory(const SegmentRun& run, const Network& network) {
  if (!run.holdings) return {};
  const auto estimate = estimate_of(run, network, context_bytes_);
  const auto use = card_use(network.device());
  if (!estimate || !use) {
    log::debug("the card's memory is not told: {}", (!estimate ? estimate.error() : use.error()).message);
    return {};
  }
  const std::lock_guard lock(mutex_);
  if (estimate->total() > largest_.total()) largest_ = *estimate;
  return {largest_.total(),          largest_.context_bytes,    largest_.held_bytes,          largest_.activation_bytes,
          use->allocated_peak_bytes, use->reserved_peak_bytes, use->all_bytes - use->free_bytes};
}

net::SegmentDone SegmentReports::done(const SegmentRun& run, const Network& network) {
  net::SegmentDone out = done(run);
  out.card = card_memory(run, network);
  return out;
}

net::SegmentDone SegmentReports::done(const SegmentRun& run) {
  net::SegmentDone out;
  out.task = run.spec.task;
  out.attempt = run.spec.attempt;
  out.frames = run.frames_done.load();
  out.frames_compiled = run.frames_compiled.load();
  const StageTimes times = shares_of(run.times(), run.wall_s);
  out.decode_s = times.decode_s;
  out.model_s = times.model_s;
  out.encode_s = times.encode_s;
  out.wall_s = run.wall_s;
  out.wait_decode_s = times.wait_decode_s;
  out.wait_encode_s = times.wait_encode_s;
  out.decode_core_s = times.decode_core_s;
  out.model_core_s = run.model_core_s;
  out.encode_core_s = times.encode_core_s;
  out.frame_hashes = run.frame_hashes();
  out.bytes_written = run.bytes_written;
  out.settings_digest = run.spec.settings.digest;
  if (run.first_frame_at) out.first_frame_s = seconds_since_start(*run.first_frame_at);
  return out;
}

}  // namespace kiln::lane
