#include "worker/card_probe.h"

#include <charconv>
#include <chrono>

#include "base/process.h"
#include "base/text.h"

namespace kiln::worker {
namespace {

constexpr std::chrono::seconds kDeadline{20};
constexpr unsigned kMiBShift = 20;

}  // namespace

Result<Card> parse_card(std::string_view line) {
  const auto fields = split(trim(line), ',');
  const auto refuse = [&] { return fail(make_error(ErrorCode::kDataLoss, "nvidia-smi says '{}' of a card", trim(line))); };
  if (fields.size() != 3) return refuse();
  Card card;
  card.name = trim(fields[0]);
  card.arch = "sm_";
  for (const char c : trim(fields[1])) {
    if (c >= '0' && c <= '9') card.arch += c;
  }
  const std::string_view memory = trim(fields[2]);
  std::uint64_t mib = 0;
  const auto [end, error] = std::from_chars(memory.data(), memory.data() + memory.size(), mib);
  if (error != std::errc() || end != memory.data() + memory.size() || card.arch == "sm_" || card.name.empty()) return refuse();
  card.memory_bytes = mib << kMiBShift;
  return card;
}

Result<Card> probe_card(const std::string& device) {
  constexpr std::string_view kPrefix = "cuda:";
  if (!device.starts_with(kPrefix)) return fail(bad_config("device '{}' is neither cpu nor cuda:N", device));
  SpawnOptions options;
  options.argv = {"nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader,nounits", "-i",
                  device.substr(kPrefix.size())};
  auto output = run_command(std::move(options), kDeadline);
  if (!output || !output->status.ok()) {
    return fail(make_error(ErrorCode::kNotFound, "{}: no such card ({})", device,
                           output ? std::string(trim(output->out + output->err)) : output.error().message));
  }
  return parse_card(output->out);
}

}  // namespace kiln::worker
