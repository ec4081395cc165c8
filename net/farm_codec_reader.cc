#include "net/farm_codec_reader.h"

#include <cmath>

#include "base/text.h"
#include "net/farm_limits.h"
#include "net/farm_names.h"

namespace kiln::net {
namespace {

constexpr std::string_view kSha256Grammar = "64 lower-case hex digits";

}  // namespace

void WireReader::refuse(std::string_view field, std::string_view why) {
  if (refused_.empty()) refused_ = fmt::format("{}: {} {}", what_, field, why);
}

Status WireReader::status() const {
  if (refused_.empty()) return {};
  return fail(Error{ErrorCode::kDataLoss, refused_, ExitCode::kFromCode});
}

std::string WireReader::checked(bool good, const std::string& value, std::string_view field,
                                std::string_view grammar) {
  if (good) return value;
  refuse(field, fmt::format("is not {}", grammar));
  return {};
}

std::string WireReader::text_of(const std::string& value, std::size_t bytes_max, std::string_view field) {
  if (value.size() > bytes_max) {
    refuse(field, fmt::format("has {} bytes; at most {}", value.size(), bytes_max));
    return {};
  }
  return checked(is_one_line(value), value, field, "one line of text");
}

std::string WireReader::text(const std::string& value, std::string_view field) {
  return text_of(value, kTextBytesMax, field);
}

std::string WireReader::label(const std::string& value, std::string_view field) {
  return text_of(value, kLabelBytesMax, field);
}

std::string WireReader::path(const std::string& value, std::string_view field) {
  return text_of(value, kPathBytesMax, field);
}

std::string WireReader::word(const std::string& value, std::string_view field) {
  return checked(value.size() <= kWordBytesMax && is_word(value), value, field,
                 fmt::format("a word of at most {} printable ASCII characters", kWordBytesMax));
}

std::string WireReader::relative_path(const std::string& value, std::string_view field) {
  return checked(valid_relative_path(value), value, field, "a relative path without '.' and '..'");
}

std::string WireReader::document(const std::string& value, std::size_t bytes_max, std::string_view field) {
  if (value.size() <= bytes_max) return value;
  refuse(field, fmt::format("has {} bytes; at most {}", value.size(), bytes_max));
  return {};
}

std::string WireReader::job(const std::string& value, std::string_view field) {
  return checked(valid_job_name(value), value, field, fmt::format("a job's name ({})", kJobNameGrammar));
}

std::string WireReader::job_or_none(const std::string& value, std::string_view field) {
  return value.empty() ? value : job(value, field);
}

std::string WireReader::worker(const std::string& value, std::string_view field) {
  return checked(valid_worker_name(value), value, field, fmt::format("a worker's name ({})", kWorkerNameGrammar));
}

std::string WireReader::worker_or_none(const std::string& value, std::string_view field) {
  return value.empty() ? value : worker(value, field);
}

std::string WireReader::key(const std::string& value, std::string_view field) {
  return checked(valid_sha256(value), value, field, kSha256Grammar);
}

std::string WireReader::digest(const std::string& value, std::string_view field) {
  return value.empty() ? value : key(value, field);
}

std::string WireReader::executor(const std::string& value, std::string_view field) {
  return checked(value == "any" || value == "compiled" || value == "uncompiled", value, field,
                 "any, compiled or uncompiled");
}

std::string WireReader::precision(const std::string& value, std::string_view field) {
  return value.empty() || value == "auto" ? "auto" : dtype(value, field);
}

std::string WireReader::dtype(const std::string& value, std::string_view field) {
  if (value.empty()) return "float32";
  return checked(value == "float32" || value == "float16" || value == "bfloat16", value, field,
                 "float32, float16 or bfloat16");
}

std::string WireReader::numerics(const std::string& value, std::string_view field) {
  return checked(value == "strict" || value == "tolerant", value, field, "strict or tolerant");
}

std::uint32_t WireReader::limit(std::uint32_t value, std::string_view field) {
  if (value <= kCompileLimitMax) return value;
  refuse(field, fmt::format("is {}; at most {}", value, kCompileLimitMax));
  return 0;
}

ErrorCode WireReader::code(const std::string& value, std::string_view field) {
  const ErrorCode code = error_code_from_string(value);
  if (to_string(code) != value) refuse(field, "is no canonical error code");
  return code;
}

std::uint64_t WireReader::bytes(std::uint64_t value, std::string_view field) {
  if (value <= kBytesMax) return value;
  refuse(field, fmt::format("is {} bytes; at most {}", value, kBytesMax));
  return 0;
}

std::int64_t WireReader::integer64(std::int64_t value, std::int64_t least, std::int64_t most,
                                   std::string_view field) {
  if (value >= least && value <= most) return value;
  refuse(field, fmt::format("is {}; from {} to {}", value, least, most));
  return 0;
}

int WireReader::integer(std::int32_t value, int least, int most, std::string_view field) {
  return static_cast<int>(integer64(value, least, most, field));
}

std::int64_t WireReader::count(std::int64_t value, std::string_view field) {
  return integer64(value, 0, kCountMax, field);
}

std::int64_t WireReader::frames(std::int64_t value, std::string_view field) {
  return integer64(value, 0, kFramesMax, field);
}

std::int64_t WireReader::side(std::int64_t value, std::string_view field) {
  return integer64(value, 0, kSideMax, field);
}

int WireReader::side32(std::int32_t value, std::string_view field) {
  return static_cast<int>(side(value, field));
}

double WireReader::number(double value, std::string_view field) {
  if (std::isfinite(value) && value >= 0.0) return value;
  refuse(field, "is not a finite number from 0");
  return 0.0;
}

int WireReader::enumerator_index(int value, int last, std::string_view field) {
  if (value >= 1 && value <= last + 1) return value - 1;
  refuse(field, value == 0 ? std::string("is missing") : fmt::format("is {}, which this program does not know", value));
  return 0;
}

bool WireReader::may_hold(int size, std::size_t most, std::string_view field) {
  if (static_cast<std::size_t>(size) <= most) return true;
  refuse(field, fmt::format("has {} entries; at most {}", size, most));
  return false;
}

}  // namespace kiln::net
