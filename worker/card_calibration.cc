#include "worker/card_calibration.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "base/atomic_file.h"
#include "base/fd.h"
#include "base/file_system.h"
#include "base/process.h"
#include "base/text.h"
#include "worker/lane_process.h"

namespace kiln::worker {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr std::uint64_t kAnswerBytesMax = 64U << 10U;
// A context outside of these is something else that came or went meanwhile.
constexpr std::uint64_t kContextBytesLeast = 64ULL << 20U;
constexpr std::uint64_t kContextBytesMost = 1536ULL << 20U;

struct Field {
  const char* name;
  double net::CardSpeed::*value;
};
constexpr Field kFields[] = {{"float32_tflops", &net::CardSpeed::float32_tflops},
                             {"tf32_tflops", &net::CardSpeed::tf32_tflops},
                             {"float16_tflops", &net::CardSpeed::float16_tflops},
                             {"bfloat16_tflops", &net::CardSpeed::bfloat16_tflops},
                             {"fp8_tflops", &net::CardSpeed::fp8_tflops},
                             {"memory_bytes_per_s", &net::CardSpeed::memory_bytes_per_s},
                             {"to_device_bytes_per_s", &net::CardSpeed::to_device_bytes_per_s},
                             {"to_host_bytes_per_s", &net::CardSpeed::to_host_bytes_per_s}};

Result<net::CardSpeed> speed_of(const json& line) {
  net::CardSpeed out;
  for (const Field& field : kFields) {
    const auto found = line.find(field.name);
    const double value = found != line.end() && found->is_number() ? found->get<double>() : -1.0;
    if (!std::isfinite(value) || value < 0.0) return fail(make_error(ErrorCode::kDataLoss, "a calibration without {}", field.name));
    out.*(field.value) = value;
  }
  return out;
}

std::string path_of(const CalibrationOptions& options, const Card& card) {
  return fmt::format("{}/{}.json", options.folder, card.uuid);
}

std::optional<Calibration> kept(const CalibrationOptions& options, const Card& card) {
  const auto text = read_file(path_of(options, card), kAnswerBytesMax);
  if (!text) return std::nullopt;
  const json file = json::parse(*text, nullptr, false);
  if (!file.is_object() || file.value("format", json()) != kFormat || file.value("driver", json()) != options.driver ||
      file.value("torch", json()) != options.torch) {
    return std::nullopt;
  }
  const auto speed = speed_of(file);
  const json context = file.value("context_bytes", json());
  if (!speed || !context.is_number_unsigned()) return std::nullopt;
  return Calibration{*speed, context.get<std::uint64_t>()};
}

Status keep(const CalibrationOptions& options, const Card& card, const Calibration& one) {
  KILN_TRY(make_directories(posix_file_system(), options.folder, 0700));
  json file = {{"format", kFormat}, {"driver", options.driver}, {"torch", options.torch}, {"card", card.name},
               {"context_bytes", one.context_bytes}};
  for (const Field& field : kFields) file[field.name] = one.speed.*(field.value);
  return write_file_atomic(path_of(options, card), file.dump(1) + "\n", 0600);
}

Result<Calibration> measure(const CalibrationOptions& options, const Card& card) {
  SpawnOptions spawn;
  spawn.argv = {options.lane_program, "--calibrate", "cuda:0"};
  spawn.set_env = {{"CUDA_VISIBLE_DEVICES", card.uuid}};
  if (!options.torch_folder.empty()) spawn.set_env.emplace_back("LD_LIBRARY_PATH", library_path(options.torch_folder));
  KILN_TRY_ASSIGN(const CommandOutput output, run_command(std::move(spawn), options.deadline, kAnswerBytesMax));
  if (!output.status.ok()) {
    return fail(make_error(ErrorCode::kUnavailable, "{}: {}", output.status.describe(), trim(output.err)));
  }
  return parse_calibration(trim(output.out), card.free_bytes);
}

}  // namespace

Result<Calibration> parse_calibration(std::string_view line, std::uint64_t free_before_bytes) {
  const json parsed = json::parse(line, nullptr, false);
  if (!parsed.is_object()) return fail(make_error(ErrorCode::kDataLoss, "'{}' is no calibration", line.substr(0, 100)));
  Calibration out;
  KILN_TRY_ASSIGN(out.speed, speed_of(parsed));
  const json free = parsed.value("free_bytes", json());
  const json reserved = parsed.value("reserved_bytes", json());
  if (!free.is_number_unsigned() || !reserved.is_number_unsigned()) {
    return fail(make_error(ErrorCode::kDataLoss, "a calibration without the card's memory"));
  }
  const std::uint64_t other = free.get<std::uint64_t>() + reserved.get<std::uint64_t>();
  const std::uint64_t context = free_before_bytes > other ? free_before_bytes - other : 0;
  if (kContextBytesLeast <= context && context <= kContextBytesMost) out.context_bytes = context;
  return out;
}

void calibrate_cards(const CalibrationOptions& options, std::vector<Card>& cards, std::vector<std::string>& said) {
  std::vector<std::string> problems(cards.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < cards.size(); ++i) {
    if (const auto known = kept(options, cards[i])) {
      cards[i].speed = known->speed;
      cards[i].context_bytes = known->context_bytes;
      continue;
    }
    threads.emplace_back([&options, &card = cards[i], &problem = problems[i]] {
      const auto measured = measure(options, card);
      if (!measured) {
        problem = fmt::format("card {} was not measured: {}", card.index, measured.error().message);
        return;
      }
      card.speed = measured->speed;
      card.context_bytes = measured->context_bytes;
      if (const Status written = keep(options, card, *measured); !written) problem = written.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& problem : problems) {
    if (!problem.empty()) said.push_back(problem);
  }
}

}  // namespace kiln::worker
